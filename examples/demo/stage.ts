/** Where a demonstration takes place: a private DHT on loopback, a folder for all, and the processes started there. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runDht, type PrivateDht } from 'skein/adapters/dht'

export interface StageOptions {
  /** Leave the folder there in the end. */
  readonly keep: boolean
}

/** A process that can be ended at once. */
interface Ending {
  kill(): Promise<void>
}

export class Stage {
  readonly folder: string
  readonly dht: PrivateDht
  readonly #keep: boolean
  readonly #processes = new Set<Ending>()
  #closing: Promise<void> | null = null

  static async open({ keep }: StageOptions): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), 'skein-demo-')), await runDht(), keep)
  }

  private constructor(folder: string, dht: PrivateDht, keep: boolean) {
    this.folder = folder
    this.dht = dht
    this.#keep = keep
  }

  /** Has a process end with the stage. */
  add<Process extends Ending>(process: Process): Process {
    this.#processes.add(process)
    return process
  }

  /** Ends what still runs, and removes the folder. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await Promise.all([...this.#processes].map((process) => process.kill()))
      await this.dht.close()
      if (!this.#keep) await rm(this.folder, { recursive: true, force: true })
    })()
    return this.#closing
  }
}

/** A space out of, and into, bundles: what the space's parts give for one, and take of one. */
import { readRecords, type BundleContents } from './bundle/contents.ts'
import { BundleReader, sealBundle, type Recipient } from './bundle/envelope.ts'
import { insideOf, type ExportOptions } from './bundle/export.ts'
import { takeIn, type Imported, type ImportOptions } from './bundle/import.ts'
import { SkeinError } from './errors.ts'
import { StoreImage } from './log/store-image.ts'
import type { SpaceParts } from './space-parts.ts'
import { parseIntroduction } from './trust/introduction.ts'

/** See `Space.export`. `saved` resolves when all that this device wrote is in the store. */
export async function* exportOf(
  parts: SpaceParts,
  options: ExportOptions,
  saved: () => Promise<void>
): AsyncGenerator<Uint8Array, void, void> {
  const { since, role = 'writer', contentsOnly = false, onProgress, signal } = options
  const recipients: Recipient[] = []
  if (options.for !== undefined) {
    const device = parseIntroduction(options.for)
    await parts.admission.admit(device, role)
    recipients.push(device)
  }
  await saved()
  const { device, box, epochKeys, store: logs, platform } = parts.context
  const { spaceKey, space: id } = parts.control.ring
  const keys = { spaceKey, genesis: parts.genesis }
  const store = StoreImage.ofLive(logs.image())
  try {
    const inside = insideOf({
      store,
      identity: { ...keys, id, device, box, epochKeys },
      since: since?.logs ?? [],
      withoutBlocks: contentsOnly,
      onProgress: onProgress ?? (() => {}),
      signal
    })
    yield* sealBundle(inside, keys, recipients, (length) => platform.randomBytes(length))
  } finally {
    await store.close()
  }
}

/** See `Space.contentsOf`. */
export async function contentsOf(
  parts: SpaceParts,
  bundle: AsyncIterable<Uint8Array>
): Promise<BundleContents> {
  const { spaceKey } = parts.control.ring
  const reader = await BundleReader.open(bundle)
  if (!(await reader.isOf(spaceKey))) {
    throw new SkeinError('BUNDLE_FOR_OTHERS', 'This bundle is not of this space')
  }
  for await (const record of readRecords(reader.inside(spaceKey))) {
    if (record.type === 'logs') return { logs: record.logs }
  }
  throw new SkeinError('BUNDLE_INVALID', 'This bundle does not say what it holds')
}

/** Takes in what a bundle of this space has. */
export async function takeInBundle(
  parts: SpaceParts,
  reader: BundleReader,
  options: ImportOptions
): Promise<Imported> {
  const { spaceKey, space } = parts.control.ring
  const imported = await takeIn(readRecords(reader.inside(spaceKey)), {
    space,
    log: (id) => parts.logs.feed.log(id),
    settled: () => parts.logs.settled(),
    options
  })
  await parts.context.store.sync()
  return imported
}

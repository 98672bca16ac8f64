// Declarations for the untyped packages of holepunchto: only what is used here. They never show in public signatures.

declare module 'corestore' {
  import type Hypercore from 'hypercore'
  import type { KeyPair, Manifest } from 'hypercore'
  export default class Corestore {
    constructor(storage: string | object, options?: { allowBackup?: boolean })
    readonly storage: import('hypercore-storage').default
    ready(): Promise<void>
    close(): Promise<void>
    get(options: {
      manifest: Manifest
      keyPair?: KeyPair
      allowFork?: boolean
      allowPush?: boolean
    }): Hypercore
  }
}

declare module 'hypercore' {
  export interface KeyPair {
    readonly publicKey: Uint8Array
    readonly secretKey: Uint8Array
  }
  export interface Manifest {
    version: number
    hash: string
    allowPatch: boolean
    quorum: number
    signers: { signature: string; namespace: Uint8Array; publicKey: Uint8Array }[]
    prologue: null
    linked: null
    userData: null
  }
  export interface Peer {
    readonly remotePublicKey: Uint8Array
    readonly remoteLength: number
    readonly remoteContiguousLength: number
    readonly protomux: unknown
    readonly channel: { close(): void }
    /** True once a block of this peer could not be written, or was wrong: no more are fetched. */
    paused: boolean
    readonly removed: boolean
    /** It is owed a word of how long this core is. */
    needsSync: boolean
    /** Sends that, or leaves it owed while a word of the peer is being dealt with. */
    sendSync(): void
    /** It has blocks fewer than this core, which is not known to be able to bring it on. */
    _shouldUpdateCanUpgrade(): boolean
    /** Looks whether it is, and perhaps tells. Never rejects. */
    _updateCanUpgradeAndSync(): Promise<void>
    readonly remoteAllowPush: boolean
    /** What has been sent to it, pushed or as an answer. */
    pushedLength: number
    push(index: number): Promise<void>
    _handleRequest(request: {
      readonly upgrade?: { readonly start: number; readonly length: number } | null
    }): Promise<void>
  }
  export interface Replicator {
    readonly peers: Peer[]
    attachTo(mux: unknown): void
    detachFrom(mux: unknown): void
    attached(mux: unknown): boolean
    setAllowPush(allow: boolean): void
    allowPush: boolean
    /** While true nothing is asked for. */
    readonly pushOnly: boolean
    setPushOnly(pushOnly: boolean): void
    /** Asks each peer for what is wanted and not yet asked for. */
    updateAll(): void
    /** Looks whether blocks that are waited for are here. */
    _resolveBlocksLocally(): Promise<void>
  }
  export interface Proof {
    readonly fork: number
    readonly block: object | null
    readonly hash: object | null
    readonly seek: object | null
    readonly upgrade: { readonly start: number; readonly length: number } | null
    readonly manifest: null
  }
  /** A tree that is being put together, on top of the one that is here. */
  export interface TreeBatch {
    readonly roots: readonly import('hypercore-crypto').TreeNode[]
    readonly length: number
    /** Takes what a proof says the log grew by. Fails where its nodes are not those. */
    verifyUpgrade(proof: Proof): boolean
  }
  export interface CoreState {
    readonly mutex: { lock(): Promise<void>; unlock(): void }
    flush(): Promise<boolean>
    createTreeBatch(): TreeBatch
  }
  export interface Core {
    readonly header: {
      readonly manifest: Manifest | null
      keyPair: import('hypercore-storage').StoredAuth['keyPair']
    }
    readonly storage: {
      write(): {
        setAuth(auth: import('hypercore-storage').StoredAuth): void
        flush(): Promise<boolean>
      }
    }
    readonly replicator: Replicator
    readonly state: CoreState
    readonly bitfield: { get(index: number): boolean }
    readonly verifier: import('hypercore/lib/verifier.js').default
    /** It lacks part of its own tree, and asks for nothing until it has that. */
    readonly _repairMode: boolean
    checkConflict(proof: Proof, from: unknown): Promise<boolean>
    /** Fails where the batch is not signed by whoever signs this core. */
    _verifyBatchUpgrade(batch: TreeBatch, manifest: Manifest | null): void
    /** Writes a tree in the place of the one that is here; false where that has changed meanwhile. */
    reorg(batch: TreeBatch): Promise<boolean>
  }
  export default class Hypercore {
    static key(manifest: Manifest): Uint8Array
    readonly key: Uint8Array
    readonly discoveryKey: Uint8Array
    readonly length: number
    readonly byteLength: number
    readonly contiguousLength: number
    readonly fork: number
    readonly writable: boolean
    readonly closed: boolean
    readonly state: {
      readonly length: number
      readonly signature: Uint8Array | null
      readonly storage: {
        read(): import('hypercore-storage').CoreReader
        /** Names the log's records in the database. */
        readonly core: { readonly dataPointer: number }
        /** Nodes of all logs, by `data:index:fork`. */
        readonly treeCache: { keys(): Iterable<string>; delete(key: string): boolean }
      }
      hash(): Uint8Array
    }
    readonly peers: Peer[]
    readonly core: Core
    ready(): Promise<void>
    close(): Promise<void>
    append(
      blocks: Uint8Array | Uint8Array[],
      options?: { keyPair?: { publicKey: Uint8Array; secretKey: Uint8Array } }
    ): Promise<{ length: number; byteLength: number }>
    get(index: number, options: { wait: boolean; timeout?: number }): Promise<Uint8Array | null>
    treeHash(length?: number): Promise<Uint8Array>
    /** Verifies and keeps what a proof has; false where the log has changed meanwhile. */
    applyProof(proof: Proof): Promise<boolean>
    download(range: { start: number; end: number; linear?: boolean }): { destroy(): void }
    /** To length 0 at the same fork, of another's log too. */
    truncate(length: number, options: { fork: number }): Promise<void>
    on(event: 'append' | 'close' | 'truncate', listener: () => void): this
    on(
      event: 'download',
      listener: (index: number, bytes: number, from: Peer, request: object | null) => void
    ): this
    on(event: 'peer-add' | 'peer-remove', listener: (peer: Peer) => void): this
    on(event: 'conflict', listener: (length: number, fork: number) => void): this
    on(
      event: 'verification-error',
      listener: (
        error: Error & { readonly code?: string },
        request: object | null,
        data: object,
        peer: Peer
      ) => void
    ): this
    off(event: string, listener: (...args: never[]) => void): this
  }
}

declare module 'hypercore-storage' {
  import type { TreeNode } from 'hypercore-crypto'
  import type { Manifest } from 'hypercore'
  type KeyValueStore = import('./log/database.ts').KeyValueStore
  /** A session of the database: of a column family, and of a snapshot where it began as one. */
  interface Session extends KeyValueStore {
    readonly defaultColumnFamily: object
    ready(): Promise<void>
    session(options?: { columnFamily?: object }): Session
    snapshot(): Session
    iterator(range: {
      gte?: Uint8Array
      lt?: Uint8Array
      reverse?: boolean
      limit?: number
      values?: boolean
    }): AsyncIterable<{ key: Uint8Array; value: Uint8Array }>
  }
  /** Open for what a platform reaches into. */
  interface DatabaseRoot extends Session {}
  export interface StoredAuth {
    readonly key: Uint8Array
    readonly discoveryKey: Uint8Array
    readonly manifest: Manifest | null
    readonly keyPair: {
      readonly publicKey: Uint8Array
      readonly secretKey: Uint8Array | null
    } | null
  }
  export interface StoredHead {
    readonly fork: number
    readonly length: number
    readonly rootHash: Uint8Array
    readonly signature: Uint8Array
  }
  export interface StoredHints {
    readonly contiguousLength: number
  }
  export interface CoreReader {
    getAuth(): Promise<StoredAuth | null>
    getHead(): Promise<StoredHead | null>
    getHints(): Promise<StoredHints | null>
    getBlock(index: number): Promise<Uint8Array | null>
    getTreeNode(index: number): Promise<TreeNode | null>
    tryFlush(): void
  }
  interface Range {
    readonly gte?: number
    readonly lt?: number
  }
  /** The records of one core. */
  export interface CoreRecords {
    db: Session
    read(): CoreReader
    createBlockStream(range?: Range): AsyncIterable<{ index: number; value: Uint8Array }>
    createTreeNodeStream(range?: Range): AsyncIterable<TreeNode>
    createBitfieldStream(range?: Range): AsyncIterable<{ index: number; page: Uint8Array }>
    close(): Promise<void>
  }
  export default class HypercoreStorage {
    /** `path`, or an object with the database interface. */
    constructor(path: string | object, options?: { writeBufferSize?: number; readOnly?: boolean })
    /** The whole database, and the column family that the logs lie in. */
    readonly rocks: DatabaseRoot
    readonly db: Session
    resumeCore(discoveryKey: Uint8Array): Promise<CoreRecords | null>
    createCoreStream(): AsyncIterable<{ discoveryKey: Uint8Array }>
    getAuth(discoveryKey: Uint8Array): Promise<StoredAuth | null>
    /** Writes the default column family out into a table. */
    flush(): Promise<void>
    close(): Promise<void>
  }
}

declare module 'hypercore-crypto' {
  export interface TreeNode {
    readonly index: number
    /** Bytes of the blocks below it. */
    readonly size: number
    readonly hash: Uint8Array
  }
  interface HypercoreCrypto {
    /** The hash of a leaf. */
    data(block: Uint8Array): Uint8Array
    parent(left: TreeNode, right: TreeNode): Uint8Array
    tree(roots: readonly TreeNode[]): Uint8Array
    discoveryKey(key: Uint8Array): Uint8Array
    verify(message: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean
  }
  const crypto: HypercoreCrypto
  export default crypto
}

declare module 'hypercore/lib/verifier.js' {
  import type { Manifest } from 'hypercore'
  /** What is signed: a tree's hash, at a length. */
  interface SignedTree {
    readonly length: number
    readonly fork: number
    hash(): Uint8Array
    signable(manifestHash: Uint8Array): Uint8Array
  }
  export default class Verifier {
    constructor(key: Uint8Array, manifest: Manifest)
    verify(tree: SignedTree, signature: Uint8Array): boolean
    static manifestHash(manifest: Manifest): Uint8Array
  }
}

declare module 'hypercore/lib/replicator.js' {
  import type { Peer } from 'hypercore'
  export default class Replicator {
    readonly core: { readonly header: { readonly key: Uint8Array } }
    _addPeer(peer: Peer): void
  }
}

declare module 'hypercore/lib/merkle-tree.js' {
  import type { Core, CoreState, Proof, TreeBatch } from 'hypercore'
  export const MerkleTree: {
    /** Puts a shorter tree of what is here into a batch. */
    truncate: (state: CoreState, length: number, batch: TreeBatch) => Promise<TreeBatch>
    /** What a proof says, with nothing of what is here. */
    verifyFullyRemote: (state: CoreState, proof: Proof) => TreeBatch
    upgradeable: (session: { readonly core: Core }, length: number) => Promise<boolean>
  }
}

declare module 'hypercore/lib/caps.js' {
  const caps: {
    treeSignable(
      manifestHash: Uint8Array,
      treeHash: Uint8Array,
      length: number,
      fork: number
    ): Uint8Array
  }
  export default caps
}

declare module 'flat-tree' {
  const flat: {
    /** The roots of a tree of that many blocks, doubled. */
    fullRoots(index: number): number[]
    children(index: number): [number, number] | null
    parent(index: number): number
    sibling(index: number): number
    leftSpan(index: number): number
    rightSpan(index: number): number
    depth(index: number): number
    index(depth: number, offset: number): number
  }
  export default flat
}

declare module 'protomux' {
  export interface Message<T> {
    send(message: T): boolean
  }
  export interface Channel {
    readonly opened: boolean
    readonly closed: boolean
    open(handshake?: unknown): void
    close(): void
    addMessage<T>(options: { onmessage: (message: T) => void | Promise<void> }): Message<T>
  }
  export default class Protomux {
    static from(stream: unknown): Protomux
    readonly stream: { readonly destroyed: boolean; destroy(error?: Error): void }
    pair(options: { protocol: string; id?: Uint8Array }, notify: () => void): void
    unpair(options: { protocol: string; id?: Uint8Array }): void
    opened(options: { protocol: string; id?: Uint8Array }): boolean
    createChannel(options: {
      protocol: string
      id?: Uint8Array
      onopen?: () => void
      onclose?: () => void
    }): Channel | null
  }
}

declare module 'quickbit-universal/fallback' {
  export interface Chunk {
    readonly field: Uint32Array
    /** In bytes. */
    readonly offset: number
  }
  class Index {
    static from(
      field: Uint32Array | Chunk[],
      byteLength: number
    ): Index & { update(bit: number): boolean }
    constructor(byteLength: number)
    readonly handle: Uint32Array
    skipFirst(value: boolean, position: number): number
    skipLast(value: boolean, position: number): number
  }
  const quickbit: {
    readonly get: (field: Uint32Array, bit: number) => boolean
    readonly set: (field: Uint32Array, bit: number, value: boolean) => boolean
    readonly fill: (field: Uint32Array, value: boolean, start: number, end: number) => Uint32Array
    readonly clear: (field: Uint32Array, ...chunks: Chunk[]) => void
    readonly findFirst: (field: Uint32Array, value: boolean, position: number) => number
    readonly findLast: (field: Uint32Array, value: boolean, position: number) => number
    readonly Index: typeof Index
  }
  export default quickbit
}

declare module 'sodium-universal' {
  interface Sodium {
    readonly crypto_pwhash_ALG_ARGON2ID13: number
    crypto_pwhash(
      out: Uint8Array,
      password: Uint8Array,
      salt: Uint8Array,
      passes: number,
      memoryBytes: number,
      algorithm: number
    ): void
    randombytes_buf(out: Uint8Array): void
    crypto_generichash(out: Uint8Array, input: Uint8Array, key?: Uint8Array): void
    crypto_sign_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
    crypto_sign_detached(signature: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void
    crypto_sign_verify_detached(
      signature: Uint8Array,
      message: Uint8Array,
      publicKey: Uint8Array
    ): boolean
    crypto_box_seed_keypair(publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
    crypto_box_seal(out: Uint8Array, message: Uint8Array, publicKey: Uint8Array): void
    crypto_box_seal_open(
      out: Uint8Array,
      sealed: Uint8Array,
      publicKey: Uint8Array,
      secretKey: Uint8Array
    ): boolean
    crypto_aead_xchacha20poly1305_ietf_encrypt(
      out: Uint8Array,
      message: Uint8Array,
      additionalData: Uint8Array,
      secretNonce: null,
      nonce: Uint8Array,
      key: Uint8Array
    ): number
    crypto_aead_xchacha20poly1305_ietf_decrypt(
      out: Uint8Array,
      secretNonce: null,
      sealed: Uint8Array,
      additionalData: Uint8Array,
      nonce: Uint8Array,
      key: Uint8Array
    ): number
  }
  const sodium: Sodium
  export default sodium
}

declare module '@hyperswarm/secret-stream' {
  // A streamx Duplex whose every message is one `data` event; streamx's own types of `on` fit no listener.
  export default class SecretStream {
    constructor(
      isInitiator: boolean,
      rawStream: unknown,
      options?: {
        keyPair?: { publicKey: Uint8Array; secretKey: Uint8Array }
        remotePublicKey?: Uint8Array
        pattern?: string
      }
    )
    readonly publicKey: Uint8Array
    readonly remotePublicKey: Uint8Array
    readonly handshakeHash: Uint8Array
    readonly isInitiator: boolean
    readonly destroyed: boolean
    readonly opened: Promise<boolean>
    readonly rawBytesRead: number
    setKeepAlive(intervalMs: number): void
    sendKeepAlive(): void
    sendKeepAlive(): void
    setTimeout(silenceMs: number): void
    write(message: Uint8Array): boolean
    end(): this
    pause(): this
    resume(): this
    on(event: 'data', listener: (message: Uint8Array) => void): this
    on(event: 'error', listener: (error: Error) => void): this
    on(event: 'close' | 'drain' | 'end', listener: () => void): this
    destroy(error?: Error): void
  }
}

declare module 'hyperdht' {
  export default class DHT {
    constructor(options: {
      bootstrap?: { host: string; port: number }[]
      host?: string
      ephemeral?: boolean
      firewalled?: boolean
    })
    static bootstrapper(port: number, host: string, options?: { host?: string }): DHT
    readonly nodes: { readonly length: number }
    /** As the nodes see this one; null, and port 0, where they do not agree. */
    readonly host: string | null
    readonly port: number
    readonly firewalled: boolean
    readonly randomized: boolean
    ping(node: { host: string; port: number }): Promise<unknown>
    readonly io: { readonly networkInterfaces: { destroy(): void } }
    bind(): Promise<void>
    ready(): Promise<void>
    fullyBootstrapped(): Promise<void>
    address(): { host: string; port: number }
    destroy(options?: { force?: boolean }): Promise<void>
  }
}

declare module 'hyperswarm' {
  import type DHT from 'hyperdht'
  import type SecretStream from '@hyperswarm/secret-stream'
  export interface PeerInfo {
    readonly publicKey: Uint8Array
    ban(isBanned: boolean): void
  }
  export interface PeerDiscoverySession {
    flushed(): Promise<boolean>
    refresh(): Promise<boolean | undefined>
  }
  export default class Hyperswarm {
    constructor(options: {
      dht?: DHT
      bootstrap?: { host: string; port: number }[]
      keyPair: { publicKey: Uint8Array; secretKey: Uint8Array }
      maxPeers?: number
      firewall?: (remotePublicKey: Uint8Array, payload: object | null) => boolean
    })
    readonly dht: DHT
    readonly connections: Set<SecretStream>
    readonly peers: Map<string, PeerInfo>
    on(event: 'connection', listener: (stream: SecretStream) => void): this
    on(event: 'ban', listener: (peer: PeerInfo) => void): this
    on(event: 'update', listener: () => void): this
    join(topic: Uint8Array, options?: { server?: boolean; client?: boolean }): PeerDiscoverySession
    leave(topic: Uint8Array): Promise<void>
    flush(): Promise<void>
    destroy(): Promise<void>
  }
}

declare module '@hyperswarm/testnet' {
  import type DHT from 'hyperdht'
  export interface Testnet {
    readonly bootstrap: { host: string; port: number }[]
    readonly nodes: DHT[]
    createNode(options?: object): DHT
    destroy(): Promise<void>
  }
  export default function createTestnet(size?: number, options?: object): Promise<Testnet>
}

declare module 'hypercore-storage/lib/view.js' {
  export default class View {
    static flush(changes: unknown, database: object): Promise<void>
    readonly changes: unknown
  }
}

declare module 'hypercore-storage/lib/tx.js' {
  import type View from 'hypercore-storage/lib/view.js'
  /** What a store begins with. */
  interface StoreHead {
    readonly version: number
  }
  class CorestoreTX {
    constructor(view: View)
    setHead(head: StoreHead): void
    apply(): void
  }
}

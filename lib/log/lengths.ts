/**
 * How long each side is. A peer asks for what is new only once the other is known to have heard how long it is itself, and
 * two peers that both wait for that wait for good: over an open connection the end of a log never comes.
 *
 * Hypercore tells a peer that seemed as long as itself only after a look into its tree (can it bring that one on?), and
 * then says nothing where the look fails, or where that peer's own word of a greater length comes meanwhile: with many
 * peers that tell of the same block at once, and a busy disk, the latter happens to all of them. And what made the look
 * fail, blocks that it lacked, is looked at again only for the peer that they come from. So: after each look something is
 * said, and who has become whole looks again. This reaches into hypercore's peers, which is why it stands alone, with a
 * test.
 */
import type Hypercore from 'hypercore'
import type { Peer } from 'hypercore'

/** Call it once a core, before it has peers. */
export function tellLengths(core: Hypercore): void {
  const isWhole = (): boolean => core.contiguousLength === core.length
  const looking = new WeakSet<Peer>()
  const lookAgain = (peer: Peer): void => {
    if (!looking.has(peer) && peer._shouldUpdateCanUpgrade()) void peer._updateCanUpgradeAndSync()
  }
  core.on('peer-add', (peer) => {
    const look = peer._updateCanUpgradeAndSync.bind(peer)
    peer._updateCanUpgradeAndSync = async () => {
      const wasWhole = isWhole()
      // Whatever is said unsets it; a word of the peer that is being dealt with says it at its end.
      peer.needsSync = true
      looking.add(peer)
      await look()
      looking.delete(peer)
      if (peer.removed) return
      if (peer.needsSync) peer.sendSync()
      if (!wasWhole && isWhole()) lookAgain(peer)
    }
  })
  core.on('download', () => {
    if (isWhole()) for (const peer of core.peers) lookAgain(peer)
  })
}

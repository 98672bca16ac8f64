/** In a page the engine is the page's own: there are no processes. */
export const RtcChild = null

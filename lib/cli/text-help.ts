/** Which text of a document is meant, where none is named. Apart from `text.ts`, which loads Yjs. */

export const defaultRoot = 'body'
export const rootHelp = `name of the text in the document (default: "${defaultRoot}", or the only one)`

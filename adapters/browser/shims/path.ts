/** The one function of `path` that hypercore-storage calls where it is given a database: names there are no paths. */
export function join(...parts: string[]): string {
  return parts.join('/')
}

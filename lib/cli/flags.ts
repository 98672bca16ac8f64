/** The flags that every command has. */
import { Option } from 'commander'
import { addresses, duration } from './words.ts'

export function globalOptions(): Option[] {
  return [
    new Option('--home <folder>', 'folder with the device (or SKEIN_HOME)'),
    new Option('--bootstrap <host:port>', 'nodes of a private DHT (or SKEIN_BOOTSTRAP)').argParser(
      (text, before: string[] | undefined) => addresses(text, before)
    ),
    new Option('--json', 'print data as JSON, one value a line'),
    new Option('-q, --quiet', 'no notes and no progress'),
    new Option('--passphrase-file <file>', "of the device's keys (or SKEIN_PASSPHRASE)"),
    new Option('--wait <time>', 'at most so long for a home in use, as 10s').argParser((text) =>
      duration(text)
    ),
    new Option('--no-color', 'no colours (or NO_COLOR)'),
    new Option('--debug', 'show where an error came from')
  ]
}

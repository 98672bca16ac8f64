/** Pages of help that belong to no single command: `skein help NAME`. */

export const topics: readonly { readonly name: string; readonly text: string }[] = [
  {
    name: 'exit-codes',
    text: `What exit codes mean:

    0  done
    1  failed; the message says why
    2  wrong arguments or configuration
    3  done as far as possible, but something is missing (sync --once) or wrong (verify)
    4  not allowed: this device's role, or the answer of a member
    5  no such device, space or document here
   75  the home is in use by a program that does not answer, and --wait is over
  130  interrupted (Ctrl-C); nothing that was saved is lost
`
  },
  {
    name: 'configuration',
    text: `A flag goes before an environment variable, and that before HOME/config.json.

  flag         variable         config.json           means
  --home       SKEIN_HOME       –                     folder with the device
  --bootstrap  SKEIN_BOOTSTRAP  "bootstrap": ["h:p"]  nodes of a private DHT
  --space      SKEIN_SPACE      "space": "Notes"      the space where none is named
  --wait       SKEIN_WAIT       "wait": "10s"         how long to wait for a home in use
  --passphrase-file             –                     its first line opens the device's keys,
               SKEIN_PASSPHRASE                       as this does; else it is asked for
  --json       SKEIN_JSON=1     –                     data as JSON
  --debug      SKEIN_DEBUG=1    –                     stack traces
  --no-color   NO_COLOR=1       –                     no colours
  –            –                "name", "person"      what others see this device called

The default home is that of the system: ~/.local/share/skein on Linux (XDG_DATA_HOME),
~/Library/Application Support/skein on macOS, %LOCALAPPDATA%\\skein\\Data on Windows.

A home is used by one process at a time; the others ask that one to do their work, so any
number of skein commands run beside each other.
`
  }
]

/** The notes of the notebook that `npm start` makes, newest first. */
export const samples: readonly string[] = [
  `Welcome to your notebook

This is a **real notebook, with no server behind it**. Every device that is in it keeps all of it, and they bring each other what is new, directly and encrypted.

- [x] Open it in a browser
- [ ] Write something here: it is safe as soon as it says *Saved here*
- [ ] Open *Share* and let a second device in, or a second browser
- [ ] Put both side by side, and type in the same line at once
- [ ] Switch one of them to *Offline*, write on both, and come back

## Good to know

The first line of a note is its title. The rest is Markdown: \`#\` makes a heading, \`-\` a list, \`- [ ]\` a task.

> Reload the page without a network: it opens, with everything in it.

Press **Ctrl K** to find any word in any note, and **Alt N** for a new one.
`,
  `Lake house, 12 to 14 June

## To take

- [x] Tent and the small lamp
- [x] Warm socks
- [ ] Cards, sun cream
- [ ] The big pot (Ines asks her mother)

## Who drives

Train **14:12 from platform 5**. Jonas takes the boxes by car on Thursday.

There is no signal there. *Write everything down anyway*, it finds its way once we are back.
`,
  `Weekly: the garden project

Present: Ines, Jonas, Mara

1. The beds along the fence are done
2. Rain barrel: Jonas has measured, 210 l fit
3. Next time at Mara’s

## Decided

- Tomatoes go to the south wall
- No slug pellets. We try the copper band first.

- [ ] Ask the neighbours about the hose
- [ ] Order seeds **before the 20th**
`,
  `Books to read

- *The Left Hand of Darkness*, Ursula K. Le Guin
- *A Pattern Language*, Christopher Alexander
- *The Periodic Table*, Primo Levi
- *Gödel, Escher, Bach*, Douglas Hofstadter

> What I cannot create, I do not understand.
`,
  `Lentil soup for six

## Takes

- 400 g red lentils
- 2 onions, 3 carrots
- 1 tsp cumin, 1 tsp paprika
- Lemon, yoghurt, parsley

## How

1. Soften the onions with the spices
2. Carrots, lentils, 1.8 l of stock; 25 minutes
3. Blend half of it. *Lemon at the end*, more than you think.
`,
  `Bicycle

Frame number \`WX 4471 902\`, bought in March. Next service in autumn: chain, rear brake pads.

Pressure: 4.5 bar in front, 5 behind.
`,
  `Ideas for the talk

Local-first in one picture: the copy in your hand is *the* copy.

- Why does my shopping list need a data centre?
- Two people, one line, no network: what should happen?
- Logs, not databases

Keep it to **20 minutes**. Show it live, with the cable pulled.
`,
  `Grandma’s plum cake

Yeast dough, 1.5 kg plums, a handful of sugar and cinnamon. 200 °C for 35 minutes. She always said: *not too sweet, the plums know what they do*.
`
]

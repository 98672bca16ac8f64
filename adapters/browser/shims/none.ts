/** In place of modules that hypercore's packages load and a page neither has nor calls: files, locks of files. */
export {}

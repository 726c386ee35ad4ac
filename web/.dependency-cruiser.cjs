// Which module may name which: rules stay free of the page, parts never know pages.
const PURE =
  '^src/(format/(bytes|time)|api/(types|problem|live|backoff)|upload/(queue|speed|fingerprint|pieces|answer|media|words)|player/(keys|policy|position|coverage|fault)|pages/route|parts/(steps|bars|icons))\\.ts$';

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'rules-name-only-rules',
      comment: 'Rules and arithmetic import nothing from the page, a component or a package.',
      severity: 'error',
      from: { path: PURE },
      to: { pathNot: PURE },
    },
    {
      name: 'parts-do-not-know-pages',
      severity: 'error',
      from: { path: '^src/(parts|player|upload|api|format)/' },
      to: { path: '^src/pages/.*[.]svelte$' },
    },
    {
      name: 'the-embedded-uploader-has-no-framework',
      comment: 'Pages of other sites load it: it stays small and makes no style elements.',
      severity: 'error',
      from: { path: '^src/(embed/|upload/(?!uploads[.]svelte))' },
      to: { path: '^(src/(pages|parts)/|src/upload/uploads[.]svelte|node_modules/svelte)' },
    },
    {
      name: 'the-player-is-loaded-late',
      comment: 'hls.js and media-chrome stay out of the first 150 kB.',
      severity: 'error',
      from: { pathNot: '^src/player/' },
      to: { path: 'node_modules/(hls[.]js|media-chrome)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.svelte', '.js', '.mjs'],
      conditionNames: ['svelte', 'import', 'browser', 'default'],
      exportsFields: ['exports'],
    },
  },
};

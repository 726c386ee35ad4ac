// Every component is written with runes; the older reactivity is refused.
const config = { compilerOptions: { runes: true } };

// biome-ignore lint/style/noDefaultExport: the Svelte tools read the default export.
export default config;

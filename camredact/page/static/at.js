// Where the page's own files are. In a notebook they are elsewhere: see live/static/handed.js.
export const at = name => new URL(name, import.meta.url).href;

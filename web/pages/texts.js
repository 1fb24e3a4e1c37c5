// Every sentence that the pages say, one section a page. A section's plain strings are put into the page by ui.js
// (data-text, data-label, data-placeholder); functions make the ones with figures or names in them. Words of the server
// (problems, errors of a recording) are shown as they come.

export const common = {
	brand: 'Holdfast',
};

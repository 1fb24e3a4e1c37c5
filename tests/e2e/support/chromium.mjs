// Debian's Chromium, twice: the whole browser, which people record with; and its engine alone, which needs half of the CPU and is
// the same for what a page shows. It has no background tabs, no permissions that are asked for, and trusts no authority.
export const SHELL = process.env.CHROMIUM ?? '/usr/bin/chromium-headless-shell';
export const WHOLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

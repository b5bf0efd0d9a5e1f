// SPDX-License-Identifier: MIT
// Says so if the page's modules did not start: the browser is too old for their syntax, or a file is missing. Not a module
// itself, and in the syntax of 2009.

addEventListener('load', () => {
  var notice = document.getElementById('not-started');
  if (notice) notice.hidden = document.documentElement.hasAttribute('data-started');
});

// What a copy button takes of a console: the commands, without prompt, comments and what they print.
function commandsOf(text) {
  const commands = [];
  let goesOn = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("$ ")) commands.push(line.slice(2).trimEnd());
    else if (goesOn) commands.push(line.trimEnd());
    else continue;
    goesOn = line.trimEnd().endsWith("\\");
  }
  return commands.join("\n");
}

for (const code of document.querySelectorAll("pre > code")) {
  if (!code.querySelector(".gp")) continue; // a prompt, as the highlighter marks it
  const copy = code.cloneNode(true);
  for (const comment of copy.querySelectorAll(".c1")) comment.remove();
  code.dataset.copy = commandsOf(copy.textContent); // which the theme copies instead of the text
}

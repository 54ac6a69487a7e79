// Writes src/data/dsl/gherkin_dialect_table.inc from the gherkin-languages.json of the installed @cucumber/gherkin:
//   (cd tests/peers && npm ci) && node dev.d/gen_dialects.mjs
// Run it after a change of that package's version, and commit what it writes.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const package_dir = join(root, 'tests/peers/node_modules/@cucumber/gherkin');
const languages = JSON.parse(readFileSync(join(package_dir, 'dist/gherkin-languages.json'), 'utf8'));
const { version } = JSON.parse(readFileSync(join(package_dir, 'package.json'), 'utf8'));

// Each language is one row of words; a word is written once per row it stands in. The lists keep the order of the
// source, which is the order in which G tries them; step keywords are those of given, when, then, and, but, sorted
// by length in UTF-16 units, longest first (a stable sort, as G has it), each once, with the type G gives it.
const quote = (text) => JSON.stringify(text);
const list = (words) => `{${words.map(quote).join(', ')}}`;

function step_keywords(dialect) {
  const types = new Map();
  const add = (words, type) => {
    for (const word of words) types.set(word, types.has(word) ? 'kUnknown' : type);
  };
  add(dialect.given, 'kContext');
  add(dialect.when, 'kAction');
  add(dialect.then, 'kOutcome');
  add([...dialect.and, ...dialect.but], 'kConjunction');
  const sorted = [...types.keys()].sort((a, b) => b.length - a.length);
  return `{${sorted.map((word) => `{${quote(word)}, KeywordType::${types.get(word)}}`).join(', ')}}`;
}

const lines = [
  `// Made by dev.d/gen_dialects.mjs from gherkin-languages.json of @cucumber/gherkin ${version} (MIT License,`,
  '// Copyright (c) 2017 Cucumber Ltd, Gaspar Nagy, Björn Rasmusson, Peter Sergeant, and contributors): the keywords of',
  '// each spoken language. Not to be edited by hand.',
  '//',
  '// {code, name, native, feature, rule, background, scenario, scenario outline, examples, steps}',
];
for (const code of Object.keys(languages).sort()) {
  const d = languages[code];
  lines.push(`{${quote(code)}, ${quote(d.name)}, ${quote(d.native)},`);
  for (const field of ['feature', 'rule', 'background', 'scenario', 'scenarioOutline', 'examples']) {
    lines.push(` ${list(d[field])},`);
  }
  lines.push(` ${step_keywords(d)}},`);
}
writeFileSync(join(root, 'src/data/dsl/gherkin_dialect_table.inc'), lines.join('\n') + '\n');

// Compares our feature parser with the official one (npm @cucumber/gherkin) on seeded documents and mutants:
//   node gherkin.mjs PATH/gherkin_dump [DOCUMENTS [FIRST_SEED]]
//
// Part one, plain Gherkin: both accept and give the same tree, or both refuse and the first error names the same line.
// Part two, with Runink's additions: the same, the official parser reading the text with the additions blanked out (or,
// where an annotation is no addition but a tag, with a plain tag in its place).
//
// Every accepted text is also formatted: the result must parse to the same tree, and stay as it is when formatted again.
import { spawnSync } from 'node:child_process';
import { AstBuilder, GherkinClassicTokenMatcher, Parser } from '@cucumber/gherkin';
import { IdGenerator } from '@cucumber/messages';
import { plain_document, runink_document } from './gherkin_documents.mjs';

const [program, count_text = '10000', seed_text = '1'] = process.argv.slice(2);
const count = Number(count_text);
const first_seed = Number(seed_text);

const at = (node) => [node.location.line, node.location.column];
const with_tags = (node) => node.tags.filter((tag) => !tag.name.startsWith('@A_')).map((tag) => ({ at: at(tag), name: tag.name }));
const titled = (node) => ({ at: at(node), keyword: node.keyword, name: node.name, description: node.description });
const row = (node) => ({ at: at(node), cells: node.cells.map((cell) => ({ at: at(cell), value: cell.value })) });

function step(node) {
  const out = { at: at(node), keyword: node.keyword, keywordType: node.keywordType, text: node.text };
  if (node.dataTable) out.table = { at: at(node.dataTable), rows: node.dataTable.rows.map(row) };
  if (node.docString) {
    const { content, delimiter, mediaType = '' } = node.docString;
    out.docString = { at: at(node.docString), content, delimiter, mediaType };
  }
  return out;
}
const background = (node) => ({ ...titled(node), steps: node.steps.map(step) });
function examples(node) {
  const out = { tags: with_tags(node), ...titled(node) };
  if (node.tableHeader) out.header = row(node.tableHeader);
  out.body = node.tableBody.map(row);
  return out;
}
const scenario = (node) => ({ tags: with_tags(node), ...titled(node), steps: node.steps.map(step), examples: node.examples.map(examples) });
function children(node) {
  const out = {};
  for (const child of node.children) if (child.background) out.background = background(child.background);
  out.scenarios = node.children.filter((child) => child.scenario).map((child) => scenario(child.scenario));
  return out;
}
const rule = (node) => ({ tags: with_tags(node), ...titled(node), ...children(node) });

// The official answer in the form of gherkin_dump's.
function official(text) {
  const parser = new Parser(new AstBuilder(IdGenerator.incrementing()), new GherkinClassicTokenMatcher());
  try {
    const { feature, comments } = parser.parse(text);
    const tree = {};
    if (feature) {
      const rules = feature.children.filter((child) => child.rule).map((child) => rule(child.rule));
      tree.feature = { language: feature.language, tags: with_tags(feature), ...titled(feature), ...children(feature), rules };
    }
    tree.comments = comments.map((comment) => ({ at: at(comment), text: comment.text }));
    return { tree: JSON.stringify(tree) };
  } catch (error) {
    if (!error.errors) throw error;
    return { line: error.errors[0].location.line, message: error.errors[0].message };
  }
}

function ours(texts) {
  const input = [];
  for (const text of texts) {
    const bytes = Buffer.from(text, 'utf8');
    input.push(Buffer.from(`${bytes.length}\n`), bytes);
  }
  const run = spawnSync(program, [], { input: Buffer.concat(input), maxBuffer: 1 << 30 });
  if (run.status !== 0) throw new Error(`${program} ended with ${run.status ?? run.signal} ${run.stderr}`);
  return run.stdout.toString('utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
}

// The tree without what only Runink has; counts what it takes away.
function without_additions(tree, counts) {
  return JSON.stringify(tree, (key, value) => {
    if (key === 'annotations') counts.annotations += value.length;
    if (key === 'sections') counts.sections += value.length;
    return key === 'annotations' || key === 'sections' ? undefined : value;
  });
}

let differences = 0;
function differ(part, seed, text, expected, got) {
  if (++differences > 5) return;
  console.log(`\n${part}, seed ${seed}: the parsers differ on\n${JSON.stringify(text)}\n  official: ${JSON.stringify(expected)}\n  ours:     ${JSON.stringify(got)}`);
}

function compare(part, seed, text, expected, answer, counts) {
  if (expected.tree !== undefined) {
    if (!answer.tree) return differ(part, seed, text, expected, answer);
    const tree = without_additions(answer.tree, counts);
    if (tree !== expected.tree) return differ(part, seed, text, expected.tree, tree);
    if (answer.fmt !== 'good') return differ(part, seed, text, 'a formatted text that is stable and keeps the tree', answer.fmt);
    ++counts.accepted;
  } else {
    if (!answer.error || answer.error.line !== expected.line) return differ(part, seed, text, expected, answer);
    ++counts.refused;
  }
}

const seeds = Array.from({ length: count }, (_, i) => first_seed + i);
for (const [part, make] of [['plain', (seed) => ({ source: plain_document(seed) })], ['with additions', runink_document]]) {
  const counts = { accepted: 0, refused: 0, annotations: 0, sections: 0 };
  const documents = seeds.map(make);
  const answers = ours(documents.map((document) => document.source));
  if (answers.length !== documents.length) throw new Error(`${answers.length} answers to ${documents.length} documents`);
  documents.forEach((document, i) => {
    compare(part, seeds[i], document.source, official(document.stripped ?? document.source), answers[i], counts);
  });
  console.log(`${part}: ${count} documents, ${counts.accepted} accepted with the same tree and formatted, ${counts.refused} refused at the same line` +
    (part === 'plain' ? '' : `; ${counts.annotations} annotations and ${counts.sections} sections read`));
  // A generator that makes only one kind of text would compare nothing.
  if (counts.accepted < count / 10 || counts.refused < count / 10) ++differences;
}
if (differences > 0) console.log(`\n${differences} differences`);
process.exit(differences > 0 ? 1 : 0);

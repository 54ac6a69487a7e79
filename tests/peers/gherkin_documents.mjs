// Seeded feature texts and mutants of them, for the comparison with the official parser.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const languages = JSON.parse(
  readFileSync(require.resolve('@cucumber/gherkin').replace(/index\.js$/, 'gherkin-languages.json'), 'utf8'));
const codes = Object.keys(languages).sort();

// A small generator of random numbers (mulberry32), so that a seed gives the same texts everywhere.
export class Random {
  constructor(seed) { this.state = seed >>> 0; }
  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  below(n) { return Math.floor(this.next() * n); }
  chance(p) { return this.next() < p; }
  pick(list) { return list[this.below(list.length)]; }
}

const words = ['records', 'arrive', 'are', 'checked', '<name>', '"quoted"', '#5', 'a|b', 'é', '数据', '😀', '\u00a0', 'x:y',
  'Given', 'Scenario:', '@home', '\\', '\\n', '*', '1,000', '"""', '```', '\u200b', 'Feature:', '| x |', '#', '-', '\ufeff'];
const spaces = ['  ', '    ', '\t', '', ' ', '\u00a0', '\u3000 ', '\u2003', '\v', '\f ', '\r', '\ufeff', '      '];

function text(random, most = 5) {
  const parts = [];
  for (let i = random.below(most + 1); i > 0; --i) parts.push(random.pick(words));
  return parts.join(random.chance(0.1) ? '  ' : ' ');
}

function tag_text(random) {
  const names = ['smoke', 'a', 'slow-1', 'ünï', '😀', 'key:value', 'x(1)', 'issue#12', '', 'a,b', '"q"', '\u200b'];
  let line = '';
  for (let i = 1 + random.below(3); i > 0; --i) {
    line += '@' + random.pick(names) + random.pick([' ', ' ', '', '  ', '\t', '\u00a0']);
  }
  if (random.chance(0.1)) line += ' # why @not';
  if (random.chance(0.02)) line += ' word';
  return line;
}

function cell(random) {
  return random.pick(['', ' ', 'a', ' value ', '\\|', '\\\\', '\\n', ' \\n x', '😀 ', '\u00a0x\u0085', '\u2003y', 'é\\x', '\t1\t', '"', '#', '<n>',
    '\\\\\\|', '\\😀', '😀😀 | ']);
}

// One text as lines. `parts` is what it may hold.
class Writer {
  constructor(random, dialect) {
    this.random = random;
    this.dialect = dialect;
    this.lines = [];
  }
  indent(usual) { return this.random.chance(0.85) ? ' '.repeat(usual) : this.random.pick(spaces); }
  line(usual, content) { this.lines.push(this.indent(usual) + content); }
  noise(usual) {
    const random = this.random;
    if (random.chance(0.12)) this.lines.push(random.chance(0.5) ? '' : random.pick(spaces));
    if (random.chance(0.08)) this.line(usual, '# ' + text(random));
  }
  title(usual, keywords) {
    const random = this.random;
    this.line(usual, random.pick(keywords) + ':' + random.pick([' ', ' ', '', '  ', '\t']) + text(random) +
      random.pick(['', '', ' ', '\u3000']));
  }
  description(usual) {
    const random = this.random;
    if (random.chance(0.7)) return;
    for (let i = 1 + random.below(4); i > 0; --i) {
      this.noise(usual);
      if (random.chance(0.85)) this.line(usual, random.pick(['In order to', 'prose', 'so: what', '- item', '1.']) + ' ' + text(random));
      else this.lines.push(random.pick(['', '  ', '\t']));
    }
  }
  tags(usual) {
    while (this.random.chance(0.3)) {
      this.line(usual, tag_text(this.random));
      this.noise(usual);
    }
  }
  table(usual, columns = 1 + this.random.below(3)) {
    const random = this.random;
    for (let rows = 1 + random.below(4); rows > 0; --rows) {
      let row = '|';
      const count = random.chance(0.02) ? random.below(5) : columns;
      for (let i = 0; i < count; ++i) row += random.pick([' ', '', '  ']) + cell(random) + random.pick([' ', '']) + '|';
      if (cell_count(row) !== columns && random.chance(0.97)) row = '|' + ' x |'.repeat(columns);
      this.line(usual, row + random.pick(['', '', ' ', ' rest', '\t# no']));
      this.noise(usual);
    }
  }
  doc_string(usual) {
    const random = this.random;
    const mark = random.pick(['"""', '```']);
    this.line(usual, mark + random.pick(['', '', 'json', ' text/x ', '"', '\u00a0m']));
    for (let i = random.below(5); i > 0; --i) {
      this.lines.push(random.pick(['', '  ', '      ', '        ', '\t', '    ', '\u3000\u3000\u3000\u3000\u3000\u3000\u3000']) +
        random.pick([text(random), '\\"\\"\\"', '\\`\\`\\` and \\`\\`\\`', '# text', '@tag', '| x |', 'Feature: x', '  ', '']));
    }
    if (random.chance(0.99)) this.line(usual, mark + random.pick(['', '', ' after', '"']));
  }
  steps(usual) {
    const random = this.random;
    const d = this.dialect;
    const keywords = [...d.given, ...d.when, ...d.then, ...d.and, ...d.but];
    for (let i = random.below(5); i > 0; --i) {
      this.line(usual, random.pick(keywords) + text(random) + random.pick(['', '', '  ']));
      this.noise(usual);
      if (random.chance(0.2)) this.table(usual + 2);
      if (random.chance(0.15)) this.doc_string(usual + 2);
      if (random.chance(0.04)) this.table(usual + 2);
      this.noise(usual);
    }
  }
  background(usual) {
    if (this.random.chance(0.7)) return;
    this.title(usual, this.dialect.background);
    this.description(usual + 2);
    this.steps(usual + 2);
  }
  scenario(usual) {
    const random = this.random;
    this.tags(usual);
    const outline = random.chance(0.3);
    this.title(usual, outline ? this.dialect.scenarioOutline : this.dialect.scenario);
    this.description(usual + 2);
    this.steps(usual + 2);
    while (random.chance(outline ? 0.6 : 0.05)) {
      this.tags(usual + 2);
      this.title(usual + 2, this.dialect.examples);
      this.description(usual + 4);
      if (random.chance(0.9)) this.table(usual + 4);
    }
  }
  document(code) {
    const random = this.random;
    this.noise(0);
    if (code !== 'en' || random.chance(0.1)) this.line(0, random.pick(['# language: ', '#language:', '  #  language :\t']) + code + random.pick(['', ' ']));
    this.noise(0);
    if (random.chance(0.01)) return;
    this.tags(0);
    this.title(0, this.dialect.feature);
    this.description(2);
    this.background(2);
    for (let i = random.below(4); i > 0; --i) this.scenario(2);
    for (let i = random.chance(0.4) ? random.below(3) : 0; i > 0; --i) {
      this.tags(2);
      this.title(2, this.dialect.rule);
      this.description(4);
      this.background(4);
      for (let j = random.below(3); j > 0; --j) this.scenario(4);
    }
  }
}

function cell_count(row) {
  let count = -1;
  for (let i = 0; i < row.length; ++i) {
    if (row[i] === '\\') ++i;
    else if (row[i] === '|') ++count;
  }
  return count;
}

function join_lines(random, lines) {
  const style = random.below(10);
  const ends = style < 7 ? ['\n'] : style < 9 ? ['\r\n'] : ['\n', '\r\n'];
  let out = random.chance(0.05) ? '\ufeff' : '';
  for (const line of lines) out += line + random.pick(ends);
  if (random.chance(0.2)) out = out.replace(/\r?\n$/, '');
  return out;
}

// What a mutation may put in: single characters that mean something, and lines that stand somewhere.
const characters = ['@', '#', '|', '"', '`', ':', '*', ' ', '\t', '\\', '\r', '\n', '\ufeff', '\u00a0', '\u2028', 'é', '😀', '\0', 'G', '<'];
const strangers = ['nonsense', 'Given x', '  Scenario: another', 'Background:', 'Feature: second', 'Examples:', 'Rule: r', '| a | b |', '"""', '```',
  '@tag', '@a b', '# language: fr', '# language: none', '* x', 'Scenario Outline:', 'And', 'And ', '|', '@', '\\', '   '];

export function mutate(random, lines) {
  const out = [...lines];
  for (let n = 1 + random.below(3); n > 0; --n) {
    const i = random.below(out.length);
    const j = random.below(out.length);
    switch (random.below(7)) {
      case 0: if (out.length > 1) out.splice(i, 1); break;
      case 1: out.splice(j, 0, out[i]); break;
      case 2: [out[i], out[j]] = [out[j], out[i]]; break;
      case 3: out.splice(i, 0, random.pick(strangers)); break;
      default: {
        const line = [...out[i]];
        const at = random.below(line.length + 1);
        if (random.chance(0.4)) line.splice(at, 1);
        else line.splice(at, random.below(2), random.pick(characters));
        out[i] = line.join('');
      }
    }
  }
  return out;
}

export function plain_document(seed) {
  const random = new Random(seed);
  const code = random.chance(0.5) ? 'en' : random.pick(codes);
  const writer = new Writer(random, languages[code]);
  writer.document(code);
  const lines = seed % 2 === 0 || writer.lines.length === 0 ? writer.lines : mutate(random, writer.lines);
  return join_lines(random, lines);
}

// ---- with Runink's additions ----
//
// A document is a list of units. A unit is one or more lines and, for an addition, what G is to read in their place:
// `blank` (white space, so that places stay) and `tags` (a tag of the same form that G can read).

const annotation_values = ['"a b"', '"#x @y"', '2', '-1.5', '512Mi', 'fast', '"q\\"uote"', '[a, "b c", 3]', "'single quoted'", '99.9%', '<param>'];
const annotation_keys = ['cpu', 'memory', 'format', 'label', 'colocate_with'];
const annotation_names = ['source', 'sink', 'contract', 'step', 'exec', 'requires', 'affinity', 'retry', 'timeout', 'secret', 'network',
  'partition', 'checkpoint', 'schedule'];

function annotation(random) {
  const name = random.pick(annotation_names);
  const keys = [...annotation_keys];
  const parts = [];
  for (let i = random.below(3); i > 0; --i) parts.push(random.pick(annotation_values));
  for (let i = random.below(3); i > 0; --i) {
    const key = keys.splice(random.below(keys.length), 1)[0];
    parts.push(key + random.pick(['=', ' = ']) + random.pick(annotation_values));
  }
  const space = () => random.pick(['', '', ' ', random.chance(0.3) ? '\n      ' : '']);
  return `@${name}(${space()}${parts.join(`${space()},${space()} `)}${space()})`;
}

class RuninkWriter extends Writer {
  constructor(random, dialect, with_sections) {
    super(random, dialect);
    this.with_sections = with_sections;
  }
  addition(indent, source, blank, tags, before_step = false) {
    const lines = (text) => (indent + text).split('\n');
    this.lines.push({ source: lines(source), blank: lines(blank), tags: tags === null ? null : lines(tags), before_step });
  }
  annotations(usual, before_step) {
    const random = this.random;
    while (random.chance(0.5)) {
      const one = annotation(random);
      const two = random.chance(0.2) ? random.pick([' ', '', '  ']) + annotation(random) : '';
      const source = one + two;
      const blank = source.replace(/[^\n]/g, ' ');
      const tags = '@A_' + blank.slice(3).replace(/ /g, (_, at) => (source.slice(0, at + 3).includes('\n') ? ' ' : '_'));
      this.addition(this.indent(usual), source, blank, tags, before_step);
      if (random.chance(0.05)) this.noise(usual);
    }
  }
  tags(usual) {
    super.tags(usual);
    this.annotations(usual, false);
  }
  steps(usual) {
    const random = this.random;
    const d = this.dialect;
    for (let i = random.below(5); i > 0; --i) {
      this.annotations(usual, true);
      this.line(usual, random.pick([...d.given, ...d.when, ...d.then, ...d.and, ...d.but]) + text(random));
      if (random.chance(0.2)) this.table(usual + 2);
      if (this.with_sections && random.chance(0.1)) this.doc_string(usual + 2);
    }
  }
  section(usual) {
    if (!this.with_sections) return;
    const random = this.random;
    while (random.chance(0.25)) {
      let source = random.pick(['Metadata', 'Assertions', 'GoldenTest', 'Notifications']) + ':' + random.pick(['', ' ']);
      for (let i = random.below(4); i > 0; --i) {
        source += '\n' + ' '.repeat(usual + 2) + random.pick(['- at least 3 records', 'owner: a@b', 'x.y-z: "1"', '-  # text', 'é: ü', '- | x', '']);
      }
      this.addition(' '.repeat(usual), source, source.replace(/[^\n]/g, ''), null);
      this.noise(usual);
    }
  }
  scenario(usual) {
    const random = this.random;
    this.tags(usual);
    const outline = random.chance(0.3);
    this.title(usual, outline ? this.dialect.scenarioOutline : this.dialect.scenario);
    this.description(usual + 2);
    this.section(usual + 2);
    const before = this.lines.length;
    this.steps(usual + 2);
    if (this.lines.length > before) this.section(usual + 2);
    while (random.chance(outline ? 0.6 : 0.05)) {
      this.tags(usual + 2);
      this.title(usual + 2, this.dialect.examples);
      this.table(usual + 4);
      this.section(usual + 2);
    }
  }
  document(code) {
    const random = this.random;
    this.tags(0);
    this.title(0, this.dialect.feature);
    this.description(2);
    this.section(2);
    this.background(2);
    for (let i = 1 + random.below(3); i > 0; --i) this.scenario(2);
    if (random.chance(0.3)) {
      this.tags(2);
      this.title(2, this.dialect.rule);
      this.scenario(4);
    }
  }
}

const first_line = (unit) => (typeof unit === 'string' ? unit : unit.source[0]).trimStart();
const is_skipped = (unit) => typeof unit !== 'string' ? unit.tags !== null : /^\s*($|#|@)/.test(unit);
const is_step = (line) => /^(Given |When |Then |And |But |\* )/.test(line);

// What G is to read in place of an annotation of a mutant: nothing if it stands directly before a step that may stand
// there (only annotations, comments and blank lines between), else a tag.
function mutant_reading(units, at, in_steps) {
  const unit = units[at];
  const is_plain_tag = (other) => typeof other === 'string' && other.trim().startsWith('@');
  let end = at;
  while (end < units.length && is_skipped(units[end])) ++end;
  let start = at;
  while (start > 0 && is_skipped(units[start - 1])) --start;
  const alone = !units.slice(start, end).some(is_plain_tag);
  return in_steps && end < units.length && is_step(first_line(units[end])) && alone ? unit.blank : unit.tags;
}

function kind_of_title(line) {
  const found = /^\s*(Feature|Business Need|Ability|Rule|Background|Example|Scenario|Scenario Outline|Scenario Template|Examples|Scenarios):/.exec(line);
  if (!found) return '';
  if (/^(Feature|Business Need|Ability)$/.test(found[1])) return 'feature';
  if (/^(Examples|Scenarios)$/.test(found[1])) return 'examples';
  if (/^(Rule|Background)$/.test(found[1])) return found[1].toLowerCase();
  return 'scenario';
}

// A text with additions, and the text of as many lines that G is to read.
export function runink_document(seed) {
  const random = new Random(seed);
  const mutant = seed % 2 === 1;
  const writer = new RuninkWriter(random, languages.en, !mutant);
  writer.document('en');
  let units = writer.lines;
  if (mutant) {
    for (let n = 1 + random.below(3); n > 0; --n) {
      const i = random.below(units.length);
      const j = random.below(units.length);
      const kind = random.below(4);
      if (kind === 0 && units.length > 1) units.splice(i, 1);
      else if (kind === 1) units.splice(j, 0, units[i]);
      else if (kind === 2) [units[i], units[j]] = [units[j], units[i]];
      else units.splice(i, 0, random.pick(strangers.filter((line) => !/"""|```|@a b|language|^\s*$/.test(line))));
    }
  }
  const source = [];
  const stripped = [];
  let kind = '';
  for (let i = 0; i < units.length; ++i) {
    const unit = units[i];
    if (typeof unit === 'string') {
      const found = kind_of_title(unit);
      // Elsewhere such a line is text in a description, or refused.
      const acts = found === 'scenario' || found === 'rule' || (found === 'feature' && kind === '') ||
        (found === 'background' && /feature|rule/.test(kind)) || (found === 'examples' && /scenario|examples/.test(kind));
      if (acts) kind = found;
      source.push(unit);
      stripped.push(unit);
    } else {
      source.push(...unit.source);
      const plain = unit.tags === null || unit.before_step ? unit.blank : unit.tags;
      stripped.push(...(mutant ? mutant_reading(units, i, /background|scenario/.test(kind)) : plain));
    }
  }
  return { source: source.join('\n') + '\n', stripped: stripped.join('\n') + '\n' };
}

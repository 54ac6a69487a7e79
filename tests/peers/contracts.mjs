// Checks contracts exported to other standards with other people's validators:
//   node contracts.mjs ODCS_SCHEMA PROGRAM FILE.contract …
//
// Each ODCS document is validated against the published JSON Schema of ODCS 3.1.0, each JSON Schema against the
// metaschema of its dialect; and records that the contract accepts or refuses are put to the exported schema. Broken
// copies must be refused, so that a validator which lets everything pass would be noticed. Ends with 77 where the ODCS
// schema is not there.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import Ajv2019 from 'ajv/dist/2019.js';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const [odcs_schema, program, ...files] = process.argv.slice(2);
if (!existsSync(odcs_schema)) {
  console.log(`skipped: the ODCS schema is not at ${odcs_schema}`);
  process.exit(77);
}

const ajv_odcs = new Ajv2019({ strict: false, allErrors: true });
addFormats(ajv_odcs);
const valid_odcs = ajv_odcs.compile(JSON.parse(readFileSync(odcs_schema, 'utf8')));

let failures = 0;
function expect(ok, what) {
  if (!ok) {
    ++failures;
    console.log(`FAILED ${what}`);
  }
}

const lines = execFileSync(program, files, { encoding: 'utf8', maxBuffer: 1 << 28 }).trim().split('\n').map((line) => JSON.parse(line));
for (const { name, odcs } of lines) {
  expect(valid_odcs(odcs), `${name}: ODCS: ${ajv_odcs.errorsText(valid_odcs.errors)}`);
  const broken = structuredClone(odcs);
  broken.schema[0].properties[0].logicalType = 'no such type';
  expect(!valid_odcs(broken), `${name}: a broken ODCS document was accepted`);
  delete broken.schema;
  delete broken.version;
  expect(!valid_odcs(broken), `${name}: an ODCS document without version was accepted`);
}

const validators = {};
for (const { name, schema } of lines) {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats(ajv);
  expect(ajv.validateSchema(schema), `${name}: JSON Schema: ${ajv.errorsText(ajv.errors)}`);
  expect(!ajv.validateSchema({ ...schema, type: 'no such type' }), `${name}: a broken JSON Schema was accepted`);
  (validators[name] ??= []).push(ajv.compile(schema));
}

// What the contract of the design notes accepts and refuses, the exported schema does, too.
const good = { date: '2001/01/10 18:20', delay: 5, distance: 1, origin: 'JFK', destination: 'LAX', billing: { street: null, city: 'Oslo' } };
const cases = [
  [true, good],
  [true, { ...good, fare: 12.5, cabin: 'N/A', tags: ['a', null], passport: null, more: 1 }],
  [true, { ...good, billing: { ...good.billing, country: { code: 'NO' } } }],
  [false, { ...good, delay: 5000 }],
  [false, { ...good, delay: null }],
  [false, { ...good, delay: '5' }],
  [false, { ...good, distance: 0 }],
  [false, { ...good, distance: 3000000000 }],
  [false, { ...good, origin: 'jfk' }],
  [false, { ...good, origin: 'xJFKx' }],
  [false, { ...good, cabin: 'second' }],
  [false, { ...good, tags: 'a' }],
  [false, { ...good, billing: { street: 'x' } }],
  [false, { ...good, billing: { city: '' } }],
  [false, { ...good, billing: { city: 'Oslo', country: { code: 'no' } } }],
  [false, (({ destination, ...rest }) => rest)(good)],
  [false, (({ billing, ...rest }) => rest)(good)],
];
expect(validators.Flight?.length === 2, 'Flight is not among the contracts');
for (const validate of validators.Flight ?? []) {
  for (const [accepted, record] of cases) {
    expect(validate(record) === accepted, `Flight: ${JSON.stringify(record)} should be ${accepted ? 'accepted' : 'refused'}`);
  }
}
console.log(`${lines.length} exports, ${cases.length * 2} records, ${failures} failures`);
process.exit(failures === 0 ? 0 : 1);

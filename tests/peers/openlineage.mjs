// Validates lineage events against the published JSON Schemas of OpenLineage 2.0.2 and of every facet in them:
//   node openlineage.mjs SPEC_FOLDER OWN_SCHEMA PROGRAM | FILE.ndjson …
//
// Each event is checked against the RunEvent definition, and each facet against the schema that its own _schemaURL names
// (so a wrong or unknown URL fails, too). Broken copies of each event must be refused: a validator that lets everything
// pass would be noticed. Ends with 77 where the schemas are not there.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const [spec, own_schema, ...sources] = process.argv.slice(2);
if (!existsSync(join(spec, 'OpenLineage.json'))) {
  console.log(`skipped: the OpenLineage schemas are not at ${spec}`);
  process.exit(77);
}

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema(read(join(spec, 'OpenLineage.json')));
for (const name of readdirSync(join(spec, 'facets'))) ajv.addSchema(read(join(spec, 'facets', name)));
ajv.addSchema(read(own_schema));

const kEvent = 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent';
// Which schema may stand under which facet's key: the URL alone would let a schema facet hide under another name.
const kKeyOf = {
  ParentRunFacet: 'parent', ErrorMessageRunFacet: 'errorMessage', NominalTimeRunFacet: 'nominalTime',
  ProcessingEngineRunFacet: 'processing_engine', JobTypeJobFacet: 'jobType', DocumentationJobFacet: 'documentation',
  SourceCodeLocationJobFacet: 'sourceCodeLocation', SchemaDatasetFacet: 'schema', DocumentationDatasetFacet: 'documentation',
  DatasetVersionDatasetFacet: 'version', ColumnLineageDatasetFacet: 'columnLineage',
  DataQualityAssertionsDatasetFacet: 'dataQualityAssertions', InputStatisticsInputDatasetFacet: 'inputStatistics',
  OutputStatisticsOutputDatasetFacet: 'outputStatistics',
};

function facets_of(event) {
  const groups = [event.run?.facets, event.job?.facets];
  for (const dataset of [...(event.inputs ?? []), ...(event.outputs ?? [])]) {
    groups.push(dataset.facets, dataset.inputFacets, dataset.outputFacets);
  }
  return groups.flatMap((group) => Object.entries(group ?? {}));
}

function problems_of(event) {
  const problems = [];
  const check = (url, value, what) => {
    let validate;
    try {
      validate = ajv.getSchema(url);
    } catch (error) {
      problems.push(`${what}: ${error.message}`);
      return;
    }
    if (!validate) problems.push(`${what}: no such schema: ${url}`);
    else if (!validate(value)) problems.push(`${what}: ${ajv.errorsText(validate.errors)}`);
  };
  if (event.schemaURL !== kEvent) problems.push(`schemaURL is ${event.schemaURL}`);
  check(kEvent, event, 'event');
  check('https://openlineage.io/spec/2-0-2/OpenLineage.json', event, 'event as a whole');
  if (!event.eventType) problems.push('event: no eventType');
  for (const [key, facet] of facets_of(event)) {
    check(facet._schemaURL, facet, `facet ${key}`);
    const name = String(facet._schemaURL).match(/#\/\$defs\/(\w+)$/)?.[1];
    if (name && kKeyOf[name] !== key) problems.push(`facet ${key}: its schema is ${name}`);
  }
  return problems;
}

const lines = [];
for (const source of sources) {
  const text = source.endsWith('.ndjson') ? readFileSync(source, 'utf8') : execFileSync(source, { encoding: 'utf8' });
  lines.push(...text.split('\n').filter((line) => line !== ''));
}
let failed = 0;
const fail = (message) => {
  failed += 1;
  console.log(message);
};
const facets_seen = new Set();
const breakers = [
  ['a run id that is no UUID', (event) => { event.run.runId = 'run-1'; }],
  ['no job name', (event) => { delete event.job.name; }],
  ['a time that is none', (event) => { event.eventTime = 'yesterday'; }],
  ['an unknown event type', (event) => { event.eventType = 'DONE'; }],
  ['a facet without its schema', (event) => { delete facets_of(event)[0][1]._schemaURL; }],
  ['a facet with another schema', (event) => { event.job.facets.jobType._schemaURL = event.schemaURL; }],
  ['a job type without its processing type', (event) => { delete event.job.facets.jobType.processingType; }],
];
for (const [index, line] of lines.entries()) {
  const event = JSON.parse(line);
  for (const [key] of facets_of(event)) facets_seen.add(key);
  for (const problem of problems_of(event)) fail(`event ${index + 1} (${event.eventType}): ${problem}`);
  for (const [what, break_it] of breakers) {
    const broken = JSON.parse(line);
    break_it(broken);
    if (problems_of(broken).length === 0) fail(`event ${index + 1}: ${what} was not noticed`);
  }
}
if (lines.length === 0) fail('there were no events');
console.log(`${lines.length} events, facets: ${[...facets_seen].sort().join(', ')}; ${failed} problems`);
process.exit(failed === 0 ? 0 : 1);

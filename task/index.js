// Starts Imagewright under Python and hands everything on: environment, output and signals.
//
// No dependencies, on purpose: azure-pipelines-task-lib takes INPUT_*, ENDPOINT_AUTH_* and SECRET_* out of the
// environment, and the agent kills only this process, so both must reach the child from here.
'use strict';

const { spawn } = require('child_process');
const { createHash, randomBytes } = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');

const OLDEST = [3, 11];
const VERSION = 'import sys; print("%d.%d" % sys.version_info[:2])';
const WINDOWS = process.platform === 'win32';
const COMPLETE = 'imagewright.complete';
const NOTES = 'imagewright-builds';
// What a pipeline may have set for uv and pip of its own; where packages come from stays.
const STEERING = ['UV_PYTHON', 'UV_SYSTEM_PYTHON', 'UV_PROJECT_ENVIRONMENT', 'UV_ENV_FILE', 'PIP_USER', 'PIP_TARGET', 'PIP_PREFIX'];

let child = null;
let cancelled = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGBREAK']) {
  process.on(signal, () => {
    cancelled = true;
    // On Windows the console has told the child already, and kill() would end it without a word.
    if (child && !WINDOWS) child.kill(signal);
  });
}

/** Run a command to its end. Returns its exit code, 127 where it is not there; `output` is what it printed. */
function run(command, args, { quiet = false, environment = process.env } = {}) {
  return new Promise((resolve) => {
    let output = '';
    child = spawn(command, args, { stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'], env: environment });
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) stream.on('data', (chunk) => (output += chunk));
    }
    child.on('error', () => resolve({ code: 127, output }));
    child.on(quiet ? 'close' : 'exit', (code, signal) => resolve({ code: code === null ? `signal ${signal}` : code, output }));
  });
}

/** The first Python of this machine that is new enough, as a command line. */
async function findPython() {
  const seen = [];
  for (const candidate of [['python3'], ['python'], ['py', '-3']]) {
    const { code, output } = await run(candidate[0], [...candidate.slice(1), '-c', VERSION], { quiet: true });
    const found = /^(\d+)\.(\d+)/.exec(output);
    if (code === 0 && found) {
      const [major, minor] = [Number(found[1]), Number(found[2])];
      if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return candidate;
      seen.push(`${candidate.join(' ')} is ${found[0]}`);
    }
  }
  throw new Error(
    `no Python ${OLDEST.join('.')} or newer was found (${seen.join(', ') || 'looked for python3, python, py -3'}); ` +
      'put UsePythonVersion@0 before this task, or install Python on the agent'
  );
}

/** What is packaged beside this file: our wheel, and the versions of everything that it needs. */
function packaged() {
  const wheel = fs.readdirSync(__dirname).find((name) => /^imagewright-.*\.whl$/.test(name));
  if (!wheel) throw new Error('this task was not packaged: there is no wheel beside index.js');
  return { wheel: path.join(__dirname, wheel), lock: path.join(__dirname, 'requirements.txt') };
}

/** The Python of an environment that holds the packaged tool; it is made once and kept in the agent's tool cache. */
async function installed() {
  const { wheel, lock } = packaged();
  const digest = createHash('sha256').update(fs.readFileSync(wheel)).update(fs.readFileSync(lock)).digest('hex');
  const name = path.join('imagewright', `${digest.slice(0, 16)}-${process.arch}`);
  const tools = process.env.AGENT_TOOLSDIRECTORY || path.join(os.homedir(), '.cache');
  const home = path.join(tools, name);
  if (await works(home)) return pythonOf(home);
  if (writable(home)) return installedIn(home, wheel, lock);
  // In a container, or by the agent's owner, the tool cache may be closed: then it is made for this job.
  const own = path.join(process.env.AGENT_TEMPDIRECTORY || os.tmpdir(), name);
  return (await works(own)) ? pythonOf(own) : installedIn(own, wheel, lock);
}

function writable(home) {
  try {
    fs.mkdirSync(path.dirname(home), { recursive: true });
    fs.accessSync(path.dirname(home), fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function installedIn(home, wheel, lock) {
  console.log('##[group]Installing Imagewright');
  const draft = `${home}.${process.pid}-${randomBytes(4).toString('hex')}`;
  try {
    await install(draft, wheel, lock);
    return pythonOf(await adopt(draft, home));
  } finally {
    remove(draft);
    console.log('##[endgroup]');
  }
}

function pythonOf(home) {
  return path.join(home, WINDOWS ? path.join('Scripts', 'python.exe') : path.join('bin', 'python'));
}

/** Whether an environment is whole, and its Python is still on this machine. */
async function works(home) {
  if (!fs.existsSync(path.join(home, COMPLETE))) return false;
  return (await run(pythonOf(home), ['-P', '-c', 'import imagewright.entry.azure_pipelines, imagewright.entry.pipeline, imagewright.template'], { quiet: true })).code === 0;
}

async function install(home, wheel, lock) {
  fs.mkdirSync(path.dirname(home), { recursive: true });
  const python = pythonOf(home);
  const uv = (await run('uv', ['--version'], { quiet: true })).code === 0;
  const pip = [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  const steps = uv
    ? [
        ['uv', 'venv', '--quiet', '--relocatable', '--python', `>=${OLDEST.join('.')}`, home],
        ['uv', 'pip', 'install', '--quiet', '--python', python, '--requirement', lock],
        ['uv', 'pip', 'install', '--quiet', '--python', python, '--no-deps', wheel],
      ]
    : [
        [...(await findPython()), '-m', 'venv', home],
        [...pip, '--requirement', lock],
        [...pip, '--no-deps', wheel],
      ];
  const environment = { ...process.env };
  for (const name of STEERING) delete environment[name];
  for (const [command, ...args] of steps) {
    const { code } = await run(command, args, { environment });
    if (cancelled) throw new Error('cancelled');
    if (code !== 0) {
      const hint = args.includes('venv') && !uv ? '; on Debian and Ubuntu its module venv is in the package python3-venv' : '';
      throw new Error(`Imagewright could not be installed: ${path.basename(command)} ended with ${code}${hint}`);
    }
  }
  fs.writeFileSync(path.join(home, COMPLETE), '');
}

/** Put a finished draft in its place, and return where it is; another agent of this machine may have been faster. */
async function adopt(draft, home) {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      fs.renameSync(draft, home);
      return home;
    } catch (error) {
      if (!fs.existsSync(home)) throw error;
    }
    if (await works(home)) return home;
    // What does not work goes in one piece: nobody finds half of it.
    const broken = `${draft}.broken`;
    try {
      fs.renameSync(home, broken);
    } catch {} // somebody else does the same
    remove(broken);
  }
  throw new Error(`${home} can neither be used nor replaced; remove it`);
}

function remove(folder) {
  fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

function escape(text) {
  return text.replace(/%/g, '%AZP25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
}

/** Run one command of the task. The exit code of this process is always 0: the agent reads the result from the log. */
async function start(command) {
  let failure = '';
  try {
    const python = process.env.IMAGEWRIGHT_PYTHON || (await installed());
    const environment = { ...process.env, PYTHONUTF8: '1', PYTHONUNBUFFERED: '1' };
    const args = ['-P', '-m', 'imagewright.entry.start', 'azure-pipelines', command];
    const { code } = cancelled ? { code: 130 } : await run(python, args, { environment });
    if (code === 127) failure = `${python} could not be started`;
    else if (code !== 0) failure = code === 130 || cancelled ? 'cancelled' : `Imagewright ended with ${code}`;
  } catch (error) {
    failure = error.message;
    console.log(`##vso[task.logissue type=error;]${escape(failure)}`);
  }
  if (failure) console.log(`##vso[task.complete result=Failed;]${escape(failure)}`);
}

/** Finish what builds of this job may have left; without a build nothing is installed for it. */
async function cleanUp() {
  const notes = path.join(process.env.AGENT_TEMPDIRECTORY || os.tmpdir(), NOTES);
  if (fs.existsSync(notes) && fs.statSync(notes).size > 0) await start('cleanup');
  else console.log('nothing is left to clean up');
}

module.exports = { cleanUp };

if (require.main === module) start('build');

// Starts Imagewright under Python and hands everything on: environment, output and signals.
//
// No dependencies, on purpose: azure-pipelines-task-lib takes INPUT_*, ENDPOINT_AUTH_* and SECRET_* out of the
// environment, and the agent kills only this process, so both must reach the child from here.
'use strict';

const { spawn } = require('child_process');
const { createHash } = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');

const OLDEST = [3, 11];
const VERSION = 'import sys; print("%d.%d" % sys.version_info[:2])';
const WINDOWS = process.platform === 'win32';

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
  const tools = process.env.AGENT_TOOLSDIRECTORY || path.join(os.homedir(), '.cache');
  const home = path.join(tools, 'imagewright', `${digest.slice(0, 16)}-${process.arch}`);
  const python = WINDOWS ? path.join('Scripts', 'python.exe') : path.join('bin', 'python');
  if (!fs.existsSync(`${home}.complete`)) {
    console.log('##[group]Installing Imagewright');
    const draft = `${home}.${process.pid}`;
    await install(draft, path.join(draft, python), wheel, lock);
    adopt(draft, home);
    console.log('##[endgroup]');
  }
  return path.join(home, python);
}

async function install(home, python, wheel, lock) {
  fs.mkdirSync(path.dirname(home), { recursive: true });
  const uv = (await run('uv', ['--version'], { quiet: true })).code === 0;
  const steps = uv
    ? [
        ['uv', 'venv', '--quiet', '--relocatable', '--python', `>=${OLDEST.join('.')}`, home],
        ['uv', 'pip', 'install', '--quiet', '--python', python, '--requirement', lock],
        ['uv', 'pip', 'install', '--quiet', '--python', python, '--no-deps', wheel],
      ]
    : [
        [...(await findPython()), '-m', 'venv', home],
        [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', lock],
        [python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', wheel],
      ];
  for (const [command, ...args] of steps) {
    const { code } = await run(command, args);
    if (cancelled) throw new Error('cancelled');
    if (code !== 0) throw new Error(`Imagewright could not be installed: ${path.basename(command)} ended with ${code}`);
  }
}

/** Put a finished environment in its place; another agent of this machine may have been faster. */
function adopt(draft, home) {
  if (fs.existsSync(`${home}.complete`)) {
    fs.rmSync(draft, { recursive: true, force: true });
    return;
  }
  fs.rmSync(home, { recursive: true, force: true });
  fs.renameSync(draft, home);
  fs.writeFileSync(`${home}.complete`, '');
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
    const args = ['-P', '-m', 'imagewright.entry.azure_pipelines', command];
    const { code } = cancelled ? { code: 130 } : await run(python, args, { environment });
    if (code === 127) failure = `${python} could not be started`;
    else if (code !== 0) failure = code === 130 ? 'cancelled' : `Imagewright ended with ${code}`;
  } catch (error) {
    failure = error.message;
    console.log(`##vso[task.logissue type=error;]${escape(failure)}`);
  }
  if (failure) console.log(`##vso[task.complete result=Failed;]${escape(failure)}`);
}

module.exports = { start };

if (require.main === module) start('build');

// A thread that passes requests on to a server of this host and counts them: see round-trip-proxy.ts. It is a thread of
// its own because tests wait for commands without an event loop.
import { createServer, request } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';

const { port, memory } = workerData;
/** As in round-trip-proxy.ts. */
const [IS_DOWN, DELAY, ROUND_TRIPS, WAITING] = [0, 1, 2, 3];
const state = new Int32Array(memory);
let requests = [];

const server = createServer((asked, answer) => {
  if (Atomics.load(state, IS_DOWN) === 1) return void asked.socket.destroy();
  const { method, url, headers } = asked;
  const passed = { path: url, range: headers.range, bytes: 0 };
  // By this one a registry of this host is asked how it speaks.
  const isCounted = url !== '/v2/';
  if (isCounted) {
    requests.push(passed);
    if (Atomics.add(state, WAITING, 1) === 0) Atomics.add(state, ROUND_TRIPS, 1);
    answer.once('close', () => Atomics.sub(state, WAITING, 1));
  }
  let isAnswered = false;
  const asking = request({ host: '127.0.0.1', port, method, path: url, headers, agent: false }, (got) => {
    isAnswered = true;
    setTimeout(
      () => {
        answer.writeHead(got.statusCode, got.headers);
        got.on('data', (chunk) => {
          passed.bytes += chunk.length;
        });
        got.pipe(answer);
      },
      isCounted ? Atomics.load(state, DELAY) : 0,
    );
  });
  // Swift sends a body after the head of an answer to HEAD.
  asking.on('error', () => isAnswered || answer.destroy());
  asked.pipe(asking);
});

parentPort.on('message', (question) => {
  if (question === 'requests') parentPort.postMessage(requests);
  else requests = [];
});
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));

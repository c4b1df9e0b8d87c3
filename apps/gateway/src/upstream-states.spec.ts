import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { upstreamStates } from './upstream-states.js';

const servers: Server[] = [];
const serving = async (listener: RequestListener): Promise<string> => {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

describe('upstreamStates', () => {
  it('tells who answers, who does not, and who is too slow', async () => {
    const fine = await serving((request, response) => response.writeHead(request.url === '/healthz' ? 200 : 404).end());
    const ill = await serving((_request, response) => response.writeHead(500).end());
    const hanging = await serving(() => undefined);
    const away = await serving(() => undefined);
    const last = servers.pop();
    last?.close();
    expect(await upstreamStates({ fine, ill, hanging, away }, 200)).toEqual({ fine: 'ok', ill: 'answers 500', hanging: 'away', away: 'away' });
  });
});

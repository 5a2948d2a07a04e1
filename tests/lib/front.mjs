// What stands before a cluster: one address, and each connection goes to the first node that takes it.
// Bytes pass as they are, so Host and Origin reach the node unchanged, as docs/operations.md asks.
import net from 'node:net';
import { freePorts } from './cluster.mjs';

export class Front {
  static async start() {
    const front = new Front();
    [front.port] = await freePorts(1);
    front.url = `http://127.0.0.1:${front.port}`;
    front.ports = [];
    front.sockets = new Set();
    front.server = net.createServer(client => front.#take(client));
    await new Promise(resolve => front.server.listen(front.port, '127.0.0.1', resolve));
    return front;
  }

  #take(client) {
    this.sockets.add(client);
    client.on('error', () => {});
    client.on('close', () => this.sockets.delete(client));
    const left = [...this.ports];
    const next = () => {
      const port = left.shift();
      if (port === undefined || client.destroyed) return client.destroy();
      const node = net.connect(port, '127.0.0.1');
      node.once('error', next);
      node.once('connect', () => {
        node.off('error', next);
        node.on('error', () => client.destroy());
        node.on('close', () => client.destroy());
        client.on('close', () => node.destroy());
        client.pipe(node);
        node.pipe(client);
      });
    };
    next();
  }

  async stop() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise(resolve => this.server.close(resolve));
  }
}

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

export interface Asset {
  readonly bytes: Buffer;
  readonly contentType: string;
  readonly etag: string;
}

const FILES: readonly (readonly [path: string, file: string, contentType: string])[] = [
  ['/', 'index.html', 'text/html; charset=utf-8'],
  ['/page/page.css', 'page.css', 'text/css; charset=utf-8'],
  ['/page/icon.svg', 'icon.svg', 'image/svg+xml'],
  ['/page/page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['/page/chat.js', 'chat.js', 'text/javascript; charset=utf-8'],
  ['/page/chat-client.js', 'chat-client.js', 'text/javascript; charset=utf-8'],
  ['/page/conversations.js', 'conversations.js', 'text/javascript; charset=utf-8'],
  ['/page/cluster.js', 'cluster.js', 'text/javascript; charset=utf-8'],
  ['/page/message-view.js', 'message-view.js', 'text/javascript; charset=utf-8'],
  ['/page/wording.js', 'wording.js', 'text/javascript; charset=utf-8'],
  ['/page/view.js', 'view.js', 'text/javascript; charset=utf-8'],
  ['/operator', 'operator.html', 'text/html; charset=utf-8'],
  ['/page/operator.css', 'operator.css', 'text/css; charset=utf-8'],
  ['/page/elements.js', 'elements.js', 'text/javascript; charset=utf-8'],
  ['/page/operator.js', 'operator.js', 'text/javascript; charset=utf-8'],
  ['/page/operator-view.js', 'operator-view.js', 'text/javascript; charset=utf-8'],
];

/** Beside this module; of a compiled one also in the sources, because the compiler copies no assets. */
const FOLDERS = [
  new URL('./page/', import.meta.url),
  new URL('../../src/api/page/', import.meta.url),
];

/** The page's files by their path on the server. Read once; rejects where one is missing. */
export async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  const assets = new Map<string, Asset>();
  for (const [path, file, contentType] of FILES) {
    const bytes = await readFirst(file);
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
    assets.set(path, { bytes, contentType, etag });
  }
  return assets;
}

async function readFirst(file: string): Promise<Buffer> {
  let cause: unknown;
  for (const folder of FOLDERS) {
    try {
      return await readFile(new URL(file, folder));
    } catch (error) {
      cause = error;
    }
  }
  const places = FOLDERS.map((folder) => fileURLToPath(folder)).join(' or ');
  throw new Error(`the page's file ${file} is in neither ${places}`, { cause });
}

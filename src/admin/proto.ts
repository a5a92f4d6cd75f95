import { fileURLToPath } from 'node:url';
import { loadSync, type PackageDefinition, type ServiceDefinition } from '@grpc/proto-loader';

export const ADMIN_SERVICE = 'holdfast.admin.v1.Admin';
/** src/admin and dist/admin are equally deep below the folder that has proto/. */
const PROTO_PATH = fileURLToPath(new URL('../../proto/admin.proto', import.meta.url));

export interface AdminProto {
  readonly packages: PackageDefinition;
  readonly service: ServiceDefinition;
}

let loaded: AdminProto | undefined;

/** Parsed once a process, about 10 ms. */
export function loadAdminProto(): AdminProto {
  if (loaded) return loaded;
  const packages = loadSync(PROTO_PATH, {
    // Every 64-bit field of this service fits a double; message ids, which do not, are text.
    longs: Number,
    enums: String,
    defaults: true,
    arrays: true,
    oneofs: true,
  });
  loaded = { packages, service: packages[ADMIN_SERVICE] as ServiceDefinition };
  return loaded;
}

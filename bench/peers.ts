import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface PeerPorts {
  readonly port: number
  readonly backendPort: number
  readonly decisionPort: number
}

const NGINX_AUTH = ({ decisionPort }: PeerPorts): string => `
    location = /decision {
      internal;
      proxy_pass http://decision;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Original-URI $request_uri;
    }
  }
  upstream decision { server 127.0.0.1:${decisionPort}; keepalive 64; }`

/** One nginx worker in front of the application, with or without `auth_request`; writes its file into `folder`. */
export const nginxCommand = (
  nginx: string,
  folder: string,
  ports: PeerPorts,
  asksFirst: boolean,
): readonly string[] => {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'nginx.conf')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${folder}/${kind};`)
    .join('\n')
  writeFileSync(
    file,
    `worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log stderr error;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  access_log off;
${temporary}
  upstream application { server 127.0.0.1:${ports.backendPort}; keepalive 64; }
  server {
    listen 127.0.0.1:${ports.port};
    keepalive_requests 1000000000;
    location / {
      ${asksFirst ? 'auth_request /decision;' : ''}
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }${asksFirst ? NGINX_AUTH(ports) : '\n  }'}
}
`,
  )
  return [nginx, '-p', folder, '-e', 'stderr', '-c', file]
}

/** Caddy in front of the application, with `forward_auth`; writes its file into `folder`. */
export const caddyCommand = (caddy: string, folder: string, ports: PeerPorts): readonly string[] => {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, 'Caddyfile')
  writeFileSync(
    file,
    `{
	admin off
	auto_https off
}
http://:${ports.port} {
	bind 127.0.0.1
	forward_auth 127.0.0.1:${ports.decisionPort} {
		uri /decision
	}
	reverse_proxy 127.0.0.1:${ports.backendPort}
}
`,
  )
  return [caddy, 'run', '--config', file, '--adapter', 'caddyfile']
}

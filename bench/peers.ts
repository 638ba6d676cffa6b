import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface PeerPorts {
  readonly port: number
  readonly backendPort: number
  readonly decisionPort: number
}

/** How nginx asks, in its own words; null: it asks nobody. */
export type NginxQuestion = 'service' | 'sallyport' | 'opa'

const QUESTIONS: Readonly<Record<NginxQuestion, string>> = {
  service: `
      proxy_pass http://decision;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Original-URI $request_uri;`,
  sallyport: `
      proxy_pass http://decision;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Forwarded-Method $request_method;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Uri $request_uri;
      proxy_set_header X-Forwarded-For $remote_addr;`,
  // OPA answers 404 where nothing is allowed, which nginx takes for a failure: nothing is forwarded then.
  opa: `
      proxy_pass http://decision/v0/data/bench/http/allow;
      proxy_method POST;
      proxy_set_header Content-Type application/json;
      proxy_set_body '{"method":"$request_method","path":"$request_uri","authorization":"$http_authorization"}';`,
}

const decisionLocation = (question: NginxQuestion, { decisionPort }: PeerPorts): string => `
    location = /decision {
      internal;${QUESTIONS[question]}
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
  upstream decision { server 127.0.0.1:${decisionPort}; keepalive 64; }`

/** One nginx worker in front of the application, with or without `auth_request`; writes its file into `folder`. */
export const nginxCommand = (
  nginx: string,
  folder: string,
  ports: PeerPorts,
  question: NginxQuestion | null,
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
      ${question === null ? '' : 'auth_request /decision;'}
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }${question === null ? '\n  }' : decisionLocation(question, ports)}
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

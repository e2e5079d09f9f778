// What every service of a chain does in JavaScript: continue, report, call the next one, answer with all reports.
"use strict";
const http = require("node:http");

const NAMES = ["sentry-trace", "baggage", "traceparent", "tracestate"];

async function call(following, headers) {
  if (following.length === 0) return [];
  const query = following.slice(1).map((url) => `next=${encodeURIComponent(url)}`).join("&");
  const response = await new Promise((resolve, reject) => {
    http.get(`${following[0]}/?${query}`, { headers, agent: false }, resolve).on("error", reject);
  });
  const parts = [];
  for await (const part of response) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString());
}

// `handle(received, next)` makes a span, awaits `next(report)` in it, and returns what that returned.
exports.serve = (handle) => {
  const server = http.createServer((request, response) => {
    const received = {};
    for (const name of NAMES) if (request.headers[name] !== undefined) received[name] = request.headers[name];
    const following = new URL(request.url, "http://127.0.0.1").searchParams.getAll("next");
    const next = async (report) => [{ received, ...report }, ...(await call(following, report.sent))];
    handle(received, next).then(
      (reports) => response.end(JSON.stringify(reports)),
      (error) => {
        response.statusCode = 500;
        response.end(String(error.stack));
      },
    );
  });
  server.listen(Number(process.argv[2]), "127.0.0.1");
};

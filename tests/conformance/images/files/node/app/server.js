// Keeps notes in a file: POST adds one, GET returns all.
'use strict';
const fs = require('fs');
const http = require('http');

const NOTES = '/data/notes';
const server = http.createServer((request, response) => {
  if (request.method !== 'POST') {
    fs.readFile(NOTES, (error, notes) => response.end(error ? '' : notes));
    return;
  }
  let text = '';
  request.on('data', (part) => { text += part; });
  request.on('end', () => fs.appendFile(NOTES, `${text}\n`, (error) => {
    response.statusCode = error ? 500 : 200;
    response.end('kept\n');
  }));
});
process.on('SIGTERM', () => process.exit(0));
server.listen(3000, () => console.log('serving'));

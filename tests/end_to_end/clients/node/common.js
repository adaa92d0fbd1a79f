// What both Node.js drivers share: the words of the command line, and the operations of
// ../README.md over one function `query` that resolves to an array of row arrays.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');

const readBytes = 3 << 20;
const writeBytes = 2 << 20;

const options = Object.fromEntries(process.argv.slice(2).map((word) => {
  const at = word.indexOf('=');
  return [word.slice(0, at), word.slice(at + 1)];
}));

const address = options.socket ? { socketPath: options.socket }
  : { host: options.host, port: Number(options.port) };
const tls = options.tls === 'verify'
  ? { ssl: { ca: fs.readFileSync(options.ca), rejectUnauthorized: true, verifyIdentity: true } }
  : {};

const operations = {
  async login(query) {
    const [[user]] = await query('SELECT CURRENT_USER()');
    const [[, cipher]] = await query("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
    return `${user} ${cipher || '-'}`;
  },
  async read(query) {
    const [[value]] = await query(`SELECT REPEAT('sallyport-read--', ${readBytes / 16})`);
    if (value !== 'sallyport-read--'.repeat(readBytes / 16)) {
      throw new Error(`wrong bytes, ${value.length} of them`);
    }
    return value.length;
  },
  async write(query) {
    const value = 'sallyport-write-'.repeat(writeBytes / 16);
    const [[length, digest]] =
      await query('SELECT LENGTH(@v), SHA2(@v, 256) FROM (SELECT @v := ?) AS t', [value]);
    if (Number(length) !== writeBytes
        || digest !== crypto.createHash('sha256').update(value).digest('hex')) {
      throw new Error(`the server has ${length} bytes, SHA-256 ${digest}`);
    }
    return length;
  },
  async local_infile(query, infile) {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'sallyport-lines-'));
    const file = path.join(folder, 'lines');
    fs.writeFileSync(file, [...Array(1000).keys()].map((n) => `${n}\n`).join(''));
    try {
      await query('CREATE TEMPORARY TABLE test.lines (n INT)');
      await infile(`LOAD DATA LOCAL INFILE '${file}' INTO TABLE test.lines`, file);
      const [[count]] = await query('SELECT COUNT(*) FROM test.lines');
      return Number(count);
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  },
};

// `open(password)` resolves to { query, infile, changeUser(user, password), close }.
async function main(open) {
  const password = process.env.SALLYPORT_PASSWORD;
  try {
    if (options.operation === 'wrong_password') {
      try {
        await open(`${password}-wrong`);
      } catch (error) {
        if (error.errno !== 1045) throw error;
        console.log('ok 1045');
        process.exit(0);
      }
      throw new Error('the wrong password was accepted');
    }
    const connection = await open(password);
    let answer;
    if (options.operation === 'change_user') {
      await connection.changeUser(options.second_user, process.env.SALLYPORT_SECOND_PASSWORD);
      [[answer]] = await connection.query('SELECT CURRENT_USER()');
    } else {
      answer = await operations[options.operation](connection.query, connection.infile);
    }
    await connection.close();
    console.log('ok', String(answer));
    process.exit(0);
  } catch (error) {
    console.log('error', error.errno || 0, String(error.message).replace(/\s+/g, ' '));
    process.exit(1);
  }
}

module.exports = { address, main, options, tls };

// mysql2 for Node.js, by the contract of ../README.md.
'use strict';
const fs = require('fs');
const mysql = require('mysql2/promise');
const { address, main, options, tls } = require('./common');

main(async (password) => {
  const connection = await mysql.createConnection({
    ...address, ...tls, user: options.user, password, rowsAsArray: true, connectTimeout: 20000,
  });
  const query = async (sql, values) => (await connection.query(sql, values))[0];
  return {
    query,
    infile: (sql, file) =>
      connection.query({ sql, infileStreamFactory: () => fs.createReadStream(file) }),
    changeUser: (user, secret) => connection.changeUser({ user, password: secret }),
    close: () => connection.end(),
  };
});

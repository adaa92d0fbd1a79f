// mariadb for Node.js, by the contract of ../README.md.
'use strict';
const mariadb = require('mariadb');
const { address, main, options, tls } = require('./common');

main(async (password) => {
  const connection = await mariadb.createConnection({
    ...address, ...tls, user: options.user, password, rowsAsArray: true, connectTimeout: 20000,
    allowPublicKeyRetrieval: true, permitLocalInfile: true, maxAllowedPacket: 64 << 20,
  });
  const query = (sql, values) => connection.query(sql, values);
  return {
    query,
    infile: query,
    changeUser: (user, secret) => connection.changeUser({ user, password: secret }),
    close: () => connection.end(),
  };
});

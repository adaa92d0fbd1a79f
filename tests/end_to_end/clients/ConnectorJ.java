// MariaDB Connector/J, by the contract of README.md. Started as a compiled class, because compiling
// it at each start (`java ConnectorJ.java`) costs a second of CPU a log-in.

import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;

final class ConnectorJ {
  private static final Map<String, String> options = new HashMap<>();

  private static Connection connect(String password) throws SQLException {
    Properties properties = new Properties();
    properties.setProperty("user", options.get("user"));
    properties.setProperty("password", password);
    properties.setProperty("connectTimeout", "20000");
    properties.setProperty("allowPublicKeyRetrieval", "true");
    properties.setProperty("allowLocalInfile", "true");
    if (options.get("operation").equals("batch")) {
      properties.setProperty("useServerPrepStmts", "true");
      properties.setProperty("useBulkStmts", "true");
    }
    if (options.get("tls").equals("verify")) {
      properties.setProperty("useSsl", "true");
      properties.setProperty("serverSslCert", options.get("ca"));
    }
    String address = "localhost";
    if (options.containsKey("socket")) {
      properties.setProperty("localSocket", options.get("socket"));
    } else {
      address = options.get("host") + ":" + options.get("port");
    }
    return DriverManager.getConnection("jdbc:mariadb://" + address + "/", properties);
  }

  private static ResultSet row(Connection link, String sql) throws SQLException {
    ResultSet rows = link.createStatement().executeQuery(sql);
    rows.next();
    return rows;
  }

  private static String login(Connection link) throws SQLException {
    String user = row(link, "SELECT CURRENT_USER()").getString(1);
    String cipher = row(link, "SHOW SESSION STATUS LIKE 'Ssl_cipher'").getString(2);
    return user + " " + (cipher.isEmpty() ? "-" : cipher);
  }

  private static String read(Connection link) throws SQLException {
    int count = (3 << 20) / 16;
    String value = row(link, "SELECT REPEAT('sallyport-read--', " + count + ")").getString(1);
    if (!value.equals("sallyport-read--".repeat(count))) {
      throw new IllegalStateException("wrong bytes, " + value.length() + " of them");
    }
    return Integer.toString(value.length());
  }

  private static String write(Connection link) throws Exception {
    String value = "sallyport-write-".repeat((2 << 20) / 16);
    try (PreparedStatement statement = link.prepareStatement("SET @v = ?")) {
      statement.setString(1, value);
      statement.execute();
    }
    ResultSet answer = row(link, "SELECT LENGTH(@v), SHA2(@v, 256)");
    StringBuilder digest = new StringBuilder();
    for (byte b : MessageDigest.getInstance("SHA-256").digest(value.getBytes("US-ASCII"))) {
      digest.append(String.format("%02x", b));
    }
    if (answer.getInt(1) != 2 << 20 || !answer.getString(2).equals(digest.toString())) {
      throw new IllegalStateException("the server has " + answer.getInt(1) + " bytes");
    }
    return answer.getString(1);
  }

  private static String localInfile(Connection link) throws Exception {
    Path file = Files.createTempFile("sallyport-lines-", "");
    try {
      Files.writeString(file, "7\n".repeat(1000));
      Statement statement = link.createStatement();
      statement.execute("CREATE TEMPORARY TABLE test.numbers (n INT)");
      statement.execute("LOAD DATA LOCAL INFILE '" + file + "' INTO TABLE test.numbers");
      return row(link, "SELECT COUNT(*) FROM test.numbers").getString(1);
    } finally {
      Files.delete(file);
    }
  }

  // By the server's prepared statements, and in bulk where it has that.
  private static String batch(Connection link) throws Exception {
    link.createStatement().execute("CREATE TEMPORARY TABLE test.numbers (n INT)");
    try (PreparedStatement statement =
        link.prepareStatement("INSERT INTO test.numbers VALUES (?)")) {
      for (int i = 0; i < 1000; i++) {
        statement.setInt(1, i);
        statement.addBatch();
      }
      statement.executeBatch();
    }
    try (PreparedStatement statement =
        link.prepareStatement("SELECT COUNT(*) FROM test.numbers WHERE n >= ?")) {
      statement.setInt(1, 0);
      ResultSet rows = statement.executeQuery();
      rows.next();
      return rows.getString(1);
    }
  }

  private static String wrongPassword(String password) throws SQLException {
    try (Connection link = connect(password + "-wrong")) {
      throw new IllegalStateException("the wrong password was accepted");
    } catch (SQLException error) {
      if (error.getErrorCode() != 1045) {
        throw error;
      }
      return "1045";
    }
  }

  private static String run(String password) throws Exception {
    if (options.get("operation").equals("wrong_password")) {
      return wrongPassword(password);
    }
    try (Connection link = connect(password)) {
      switch (options.get("operation")) {
        case "login": return login(link);
        case "read": return read(link);
        case "write": return write(link);
        case "batch": return batch(link);
        case "local_infile": return localInfile(link);
        default: return "unsupported";
      }
    }
  }

  public static void main(String[] arguments) {
    for (String word : arguments) {
      String[] parts = word.split("=", 2);
      options.put(parts[0], parts[1]);
    }
    if (options.get("operation").equals("change_user")) {
      System.out.println("unsupported");
      System.exit(3);
    }
    try {
      System.out.println("ok " + run(System.getenv("SALLYPORT_PASSWORD")));
    } catch (Exception error) {
      int number = error instanceof SQLException ? ((SQLException) error).getErrorCode() : 0;
      String message = String.valueOf(error.getMessage()).replaceAll("\\s+", " ");
      System.out.println("error " + number + " " + message);
      System.exit(1);
    }
  }
}

#!/usr/bin/ruby
# Ruby's mysql2 (MariaDB Connector/C), by the contract of README.md.
require 'digest'
require 'mysql2'
require 'tempfile'

OPTIONS = ARGV.to_h { |word| word.split('=', 2) }
PASSWORD = ENV.fetch('SALLYPORT_PASSWORD')

def connect(password)
  options = { username: OPTIONS['user'], password: password, connect_timeout: 20,
              local_infile: true, as: :array }
  if OPTIONS['socket']
    options[:socket] = OPTIONS['socket']
  else
    options.update(host: OPTIONS['host'], port: OPTIONS['port'].to_i)
  end
  options.update(sslca: OPTIONS['ca'], sslverify: true) if OPTIONS['tls'] == 'verify'
  Mysql2::Client.new(options)
end

def row(client, sql)
  client.query(sql).first
end

def login(client)
  "#{row(client, 'SELECT CURRENT_USER()')[0]} " +
    row(client, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")[1].then { |c| c.empty? ? '-' : c }
end

def read(client)
  count = (3 << 20) / 16
  value = row(client, "SELECT REPEAT('sallyport-read--', #{count})")[0]
  raise "wrong bytes, #{value.bytesize} of them" if value != 'sallyport-read--' * count

  value.bytesize
end

def write(client)
  value = 'sallyport-write-' * ((2 << 20) / 16)
  client.query("SET @v = '#{value}'")
  length, digest = row(client, 'SELECT LENGTH(@v), SHA2(@v, 256)')
  if length != 2 << 20 || digest != Digest::SHA256.hexdigest(value)
    raise "the server has #{length} bytes, SHA-256 #{digest}"
  end

  length
end

def local_infile(client)
  Tempfile.create('sallyport-lines-') do |file|
    1000.times { |n| file.puts(n) }
    file.flush
    client.query('CREATE TEMPORARY TABLE test.numbers (n INT)')
    client.query("LOAD DATA LOCAL INFILE '#{file.path}' INTO TABLE test.numbers")
  end
  row(client, 'SELECT COUNT(*) FROM test.numbers')[0]
end

def wrong_password
  connect("#{PASSWORD}-wrong")
  raise 'the wrong password was accepted'
rescue Mysql2::Error => e
  raise unless e.error_number == 1045

  1045
end

begin
  operation = OPTIONS['operation']
  if operation == 'wrong_password'
    puts "ok #{wrong_password}"
  elsif %w[login read write local_infile].include?(operation)
    client = connect(PASSWORD)
    puts "ok #{send(operation, client)}"
    client.close
  else
    puts 'unsupported'
    exit 3
  end
rescue Mysql2::Error => e
  puts "error #{e.error_number || 0} #{e.message.gsub(/\s+/, ' ')}"
  exit 1
rescue StandardError => e
  puts "error 0 #{e.message}"
  exit 1
end

// Reader against the reference, Writer against Reader.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/reference.h"

namespace sallyport::fuzz {
namespace {

// One read of each kind, and what the reference says of it.
void Read(uint8_t kind, packet::Reader* reader, Text* text) {
  const size_t before = reader->position();
  const std::string_view rest_before = text->rest;
  uint8_t int1 = 0;
  uint16_t int2 = 0;
  uint32_t int4 = 0;
  Bytes bytes;
  std::string expected;
  uint64_t number = 0;
  bool read = false;
  switch (kind % 8) {
    case 0:
      read = reader->ReadInt1(&int1);
      number = text->Int(1) - int1;
      break;
    case 1:
      read = reader->ReadInt2(&int2);
      number = text->Int(2) - int2;
      break;
    case 2:
      read = reader->ReadInt3(&int4);
      number = text->Int(3) - int4;
      break;
    case 3:
      read = reader->ReadInt4(&int4);
      number = text->Int(4) - int4;
      break;
    case 4:
      read = reader->ReadBytesLenEnc(&bytes);
      expected = text->LenEnc();
      break;
    case 5:
      read = reader->ReadNulTerminated(&bytes);
      expected = text->Nul();
      break;
    case 6:
      read = reader->ReadBytes(kind / 8, &bytes);
      expected = text->Take(kind / 8);
      break;
    default:
      read = reader->Skip(kind / 8);
      text->Take(kind / 8);
  }
  FUZZ_CHECK(read == text->ok);
  if (read) {
    FUZZ_CHECK(number == 0);
    FUZZ_CHECK(packet::AsText(bytes) == expected);
    FUZZ_CHECK(packet::AsText(reader->rest()) == text->rest);
    return;
  }
  FUZZ_CHECK(reader->position() == before);  // Nothing was taken.
  *text = {rest_before};
}

void WriteAndReadBack(Bytes bytes, size_t room_size, uint64_t number) {
  Buffer room(room_size);
  packet::Writer writer(room);
  if (!writer.WriteIntLenEnc(number) || !writer.WriteBytesLenEnc(bytes)) {
    FUZZ_CHECK(room_size < bytes.size() + 18);
    return;
  }
  const Buffer written = packet::Exact(writer.written());
  packet::Reader reader(written);
  uint64_t number_read = 0;
  Bytes bytes_read;
  FUZZ_CHECK(reader.ReadIntLenEnc(&number_read) && reader.ReadBytesLenEnc(&bytes_read));
  FUZZ_CHECK(number_read == number && reader.empty());
  FUZZ_CHECK(packet::AsText(bytes_read) == packet::AsText(bytes));
}

}  // namespace
}  // namespace sallyport::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport;
  fuzz::Input input(data, size);
  const fuzz::Buffer kinds = input.Take(input.Byte() % 16);
  const size_t room_size = input.Int(2);
  const uint64_t number = uint64_t{input.Int(4)} << (input.Byte() % 33);
  const fuzz::Buffer bytes = input.Rest();
  packet::Reader reader(bytes);
  fuzz::Text text{packet::AsText(bytes)};
  for (const uint8_t kind : kinds) fuzz::Read(kind, &reader, &text);
  fuzz::WriteAndReadBack(bytes, room_size, number);
  return 0;
}

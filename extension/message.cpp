// message.cpp: the message as stored, {"type":"...","payload":...}.
#include "message.h"

namespace odoo_bus {

int max_payload_size;

namespace {

// A message that is being written, and the offset of its payload.
struct Writer {
    StringInfoData buffer;
    int payload_start;
};

void begin(Writer& writer, std::string_view notification_type) {
    initStringInfo(&writer.buffer);
    // Room for the length word, so that the buffer becomes a text without being copied.
    appendStringInfoSpaces(&writer.buffer, VARHDRSZ);
    StringInfoSink sink{&writer.buffer};
    sink.append("{\"type\":", 8);
    write_json_text(sink, notification_type);
    sink.append(",\"payload\":", 11);
    writer.payload_start = writer.buffer.len;
}

// Called after every value, so that an oversized payload is refused before all of it is written.
void check_size(const Writer& writer) {
    if (writer.buffer.len - writer.payload_start > max_payload_size)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("the payload is larger than odoo_bus.max_payload_size (%d bytes)", max_payload_size),
                 errhint("Send ids and let the client fetch what they stand for.")));
}

text* finish(Writer& writer) {
    check_size(writer);
    appendStringInfoChar(&writer.buffer, '}');
    text* message = reinterpret_cast<text*>(writer.buffer.data);
    SET_VARSIZE(message, writer.buffer.len);
    return message;
}

void write_scalar(Writer& writer, const JsonbValue& value) {
    StringInfoSink sink{&writer.buffer};
    switch (value.type) {
    case jbvNull:
        sink.append("null", 4);
        break;
    case jbvBool:
        value.val.boolean ? sink.append("true", 4) : sink.append("false", 5);
        break;
    case jbvNumeric: {
        const char* number =
            DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value.val.numeric)));
        sink.append(number, strlen(number));
        break;
    }
    case jbvString:
        write_json_text(sink, {value.val.string.val, static_cast<std::size_t>(value.val.string.len)});
        break;
    default:
        elog(ERROR, "unexpected type of jsonb value: %d", static_cast<int>(value.type));
    }
    check_size(writer);
}

void write_container(Writer& writer, JsonbContainer* container) {
    StringInfoSink sink{&writer.buffer};
    JsonbIterator* iterator = JsonbIteratorInit(container);
    JsonbValue value;
    bool raw_scalar = false;
    bool first = true; // nothing has been written inside the innermost array or object
    for (;;) {
        const JsonbIteratorToken token = JsonbIteratorNext(&iterator, &value, false);
        if (token == WJB_DONE)
            break;
        const bool opens_or_holds =
            token == WJB_BEGIN_ARRAY || token == WJB_BEGIN_OBJECT || token == WJB_ELEM;
        if (token == WJB_BEGIN_ARRAY && value.val.array.rawScalar) {
            raw_scalar = true;
            continue;
        }
        // A comma precedes a key, and a value in an array; the key has set "first" for its own value.
        if ((opens_or_holds || token == WJB_KEY) && !first)
            sink.push_back(',');
        switch (token) {
        case WJB_BEGIN_ARRAY:
            sink.push_back('[');
            first = true;
            break;
        case WJB_BEGIN_OBJECT:
            sink.push_back('{');
            first = true;
            break;
        case WJB_KEY:
            write_scalar(writer, value);
            sink.push_back(':');
            first = true;
            break;
        case WJB_ELEM:
        case WJB_VALUE:
            write_scalar(writer, value);
            first = false;
            break;
        case WJB_END_ARRAY:
            if (!raw_scalar)
                sink.push_back(']');
            first = false;
            break;
        case WJB_END_OBJECT:
            sink.push_back('}');
            first = false;
            break;
        case WJB_DONE:
            break;
        }
    }
}

} // namespace

text* make_message(std::string_view notification_type, JsonbValue* payload) {
    Writer writer;
    begin(writer, notification_type);
    if (payload->type == jbvBinary)
        write_container(writer, payload->val.binary.data);
    else
        write_scalar(writer, *payload);
    return finish(writer);
}

text* make_message(std::string_view notification_type, Jsonb* payload) {
    Writer writer;
    begin(writer, notification_type);
    if (payload)
        write_container(writer, &payload->root);
    else
        StringInfoSink{&writer.buffer}.append("null", 4);
    return finish(writer);
}

text* make_message(std::string_view notification_type, std::string_view payload_json) {
    Writer writer;
    begin(writer, notification_type);
    StringInfoSink{&writer.buffer}.append(payload_json.data(), payload_json.size());
    return finish(writer);
}

} // namespace odoo_bus

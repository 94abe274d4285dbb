// session_settings.cpp: the settings of the calling session, for the worker of bus_sendnow().
#include "session_settings.h"

namespace odoo_bus {

namespace {

// Those that cannot hold in another session: the worker waits for locks as bus_sendnow() is told to, and it
// must return every error to the caller.
constexpr const char* not_taken[] = {"lock_timeout", "transaction_timeout", "exit_on_error"};

constexpr char as_user = 'u', as_superuser = 's';

bool is_custom(const config_generic& setting) {
    return (setting.flags & GUC_CUSTOM_PLACEHOLDER) != 0;
}

// Whether SET can change it for the session. Role, session authorization and the properties of the
// transaction are no settings in this sense; RESET ALL excludes the same.
bool can_be_taken(const config_generic& setting) {
    return (setting.context == PGC_USERSET || setting.context == PGC_SUSET) &&
           !(setting.flags & GUC_NO_RESET_ALL) &&
           std::none_of(std::begin(not_taken), std::end(not_taken),
                        [&setting](const char* name) { return strcmp(name, setting.name) == 0; });
}

bool is_set(const config_generic& setting) {
    return can_be_taken(setting) && (setting.source != PGC_S_DEFAULT || is_custom(setting));
}

enum class Which { current, built_in };

// In the units in which it is stored, which set_config_option() reads.
const char* value_of(const config_generic& setting, Which which) {
    const auto pick = [which](auto* variable, auto built_in) {
        return which == Which::current ? *variable : built_in;
    };
    switch (setting.vartype) {
    case PGC_BOOL: {
        const auto& typed = typed_setting<config_bool>(setting);
        return pick(typed.variable, typed.boot_val) ? "on" : "off";
    }
    case PGC_INT: {
        const auto& typed = typed_setting<config_int>(setting);
        return psprintf("%d", pick(typed.variable, typed.boot_val));
    }
    case PGC_REAL: {
        const auto& typed = typed_setting<config_real>(setting);
        return psprintf("%.17g", pick(typed.variable, typed.boot_val));
    }
    case PGC_ENUM: {
        const auto& typed = typed_setting<config_enum>(setting);
        return enum_setting_name(setting, pick(typed.variable, typed.boot_val));
    }
    case PGC_STRING: {
        const auto& typed = typed_setting<config_string>(setting);
        const char* text = which == Which::current ? *typed.variable : typed.boot_val;
        return text ? text : "";
    }
    }
    return "";
}

void append_string(StringInfo text, const char* string) {
    appendBinaryStringInfo(text, string, static_cast<int>(strlen(string)) + 1);
}

// A setting without a library has the privileges of the role that has set it: if a library defines it later,
// they decide whether the value holds.
char context_of(const config_generic& setting) {
    return is_custom(setting) && setting.scontext == PGC_USERSET ? as_user : as_superuser;
}

// The settings as the caller has written them.
class Reader {
public:
    Reader(const char* text, std::size_t length) : at(text), end(text + length) {}

    bool next() {
        if (at >= end)
            return false;
        context = *at++;
        name = at;
        value = name + strlen(name) + 1;
        at = value + strlen(value) + 1;
        return true;
    }

    char context = as_user;
    const char *name = nullptr, *value = nullptr;

private:
    const char *at, *end;
};

bool contains(const char* text, std::size_t length, const char* name) {
    for (Reader reader(text, length); reader.next();)
        if (strcmp(reader.name, name) == 0)
            return true;
    return false;
}

void set_for_transaction(const char* name, const char* value, char context) {
    // In the caller's session a library may not have been loaded that refuses the value here.
    const int level = context == as_user ? LOG : ERROR;
    set_config_option(name, value, context == as_user ? PGC_USERSET : PGC_SUSET, PGC_S_SESSION,
                      GUC_ACTION_LOCAL, true, level, false);
}

} // namespace

SessionSettings own_settings() {
    SessionSettings settings;
    initStringInfo(&settings.text);
    settings.custom_names = 0;
    for (const config_generic* setting : all_settings()) {
        if (!is_set(*setting))
            continue;
        appendStringInfoChar(&settings.text, context_of(*setting));
        append_string(&settings.text, setting->name);
        append_string(&settings.text, value_of(*setting, Which::current));
        if (is_custom(*setting))
            settings.custom_names =
                hash_bytes_extended(reinterpret_cast<const unsigned char*>(setting->name),
                                    static_cast<int>(strlen(setting->name)), settings.custom_names + 1);
    }
    return settings;
}

void adopt_settings(const char* text, std::size_t length) {
    for (const config_generic* setting : all_settings())
        if (is_set(*setting) && !contains(text, length, setting->name))
            set_for_transaction(setting->name, value_of(*setting, Which::built_in), as_superuser);
    for (Reader reader(text, length); reader.next();) {
        const char* current = GetConfigOption(reader.name, true, false);
        if (!current || strcmp(current, reader.value) != 0)
            set_for_transaction(reader.name, reader.value, reader.context);
    }
}

void discard_session_state() {
    StartTransactionCommand();
    PortalHashTableDeleteAll();
    ResetAllOptions();
    DropAllPreparedStatements();
    Async_UnlistenAll();
    LockReleaseAll(USER_LOCKMETHOD, true);
    ResetTempTableNamespace();
    ResetSequenceCaches();
    CommitTransactionCommand();
}

} // namespace odoo_bus

// json_payload.h: the same functions for a payload that is json.
//
// json is not converted to jsonb implicitly, so that without them a call ends in "function does not exist". A
// literal must not become ambiguous by them: for the notification's type they take varchar. Of the types that
// an untyped literal may have PostgreSQL prefers text (its chapter "Type Conversion", "Functions", rule 4.e),
// and so the function with jsonb. The channel is text: what is converted to text implicitly, as TG_TABLE_NAME
// is, may not be to varchar.
#pragma once

#include "pg.h"

// Makes jsonb of argument `n`, which is json or NULL.
inline void convert_json_argument(FunctionCallInfo fcinfo, int n) {
    NullableDatum& argument = fcinfo->args[n];
    if (!argument.isnull)
        argument.value =
            DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(DatumGetTextPP(argument.value))));
}

// FUNCTION_json: FUNCTION, whose argument `n` is the payload.
#define DEFINE_WITH_JSON(function, n)                                                                        \
    PG_FUNCTION_INFO_V1(function##_json);                                                                    \
    Datum function##_json(PG_FUNCTION_ARGS) {                                                                \
        convert_json_argument(fcinfo, n);                                                                    \
        return function(fcinfo);                                                                             \
    }

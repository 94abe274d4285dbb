# Writes the bytes of INPUT as the C++ array odoo_bus::NAME to OUTPUT.
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "namespace odoo_bus {
extern const unsigned char ${NAME}[];
extern const unsigned long ${NAME}_BYTES;
const unsigned char ${NAME}[] = {
${bytes}};
const unsigned long ${NAME}_BYTES = sizeof ${NAME};
}
")

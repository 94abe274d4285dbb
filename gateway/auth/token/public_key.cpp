// Public keys of RSA and of the curve P-256.
#include "auth/token/public_key.h"

#include <string_view>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#endif

namespace odoo_bus {

namespace {

constexpr size_t P256_BYTES = 32; // of a coordinate

template <class T, void (*release)(T*)>
struct Release {
    void operator()(T* object) const { release(object); }
};
using Number = std::unique_ptr<BIGNUM, Release<BIGNUM, BN_free>>;

Number number(const std::string& bytes) {
    return Number(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                            static_cast<int>(bytes.size()), nullptr));
}

} // namespace

#if OPENSSL_VERSION_NUMBER >= 0x30000000L

namespace {

using Builder = std::unique_ptr<OSSL_PARAM_BLD, Release<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>>;
using Parameters = std::unique_ptr<OSSL_PARAM, Release<OSSL_PARAM, OSSL_PARAM_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Release<EVP_PKEY_CTX, EVP_PKEY_CTX_free>>;

PublicKey from_parameters(const char* type, OSSL_PARAM_BLD* builder) {
    const Parameters parameters(OSSL_PARAM_BLD_to_param(builder));
    const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* key = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
        return nullptr;
    return {key, EVP_PKEY_free};
}

} // namespace

PublicKey rsa_public_key(const std::string& modulus, const std::string& exponent) {
    const Number n = number(modulus), e = number(exponent);
    const Builder builder(OSSL_PARAM_BLD_new());
    if (modulus.empty() || exponent.empty() || !n || !e || !builder ||
        !OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) ||
        !OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()))
        return nullptr;
    return from_parameters("RSA", builder.get());
}

PublicKey p256_public_key(const std::string& x, const std::string& y) {
    if (x.size() != P256_BYTES || y.size() != P256_BYTES)
        return nullptr;
    const std::string point = "\x04" + x + y; // uncompressed
    const Builder builder(OSSL_PARAM_BLD_new());
    if (!builder ||
        !OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) ||
        !OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()))
        return nullptr;
    return from_parameters("EC", builder.get());
}

int rsa_bits(const EVP_PKEY* key) {
    return EVP_PKEY_is_a(key, "RSA") ? EVP_PKEY_get_bits(key) : 0;
}

bool is_p256(const EVP_PKEY* key) {
    char group[32] = {};
    size_t length = 0;
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1 &&
           std::string_view(group) == "prime256v1";
}

#else

namespace {

using RsaKey = std::unique_ptr<RSA, Release<RSA, RSA_free>>;
using EcKey = std::unique_ptr<EC_KEY, Release<EC_KEY, EC_KEY_free>>;

} // namespace

PublicKey rsa_public_key(const std::string& modulus, const std::string& exponent) {
    Number n = number(modulus), e = number(exponent);
    const RsaKey rsa(RSA_new());
    PublicKey key(EVP_PKEY_new(), EVP_PKEY_free);
    if (modulus.empty() || exponent.empty() || !n || !e || !rsa || !key ||
        RSA_set0_key(rsa.get(), n.get(), e.get(), nullptr) != 1)
        return nullptr;
    // The key owns them now.
    (void)n.release();
    (void)e.release();
    return EVP_PKEY_set1_RSA(key.get(), rsa.get()) == 1 ? key : nullptr;
}

PublicKey p256_public_key(const std::string& x, const std::string& y) {
    if (x.size() != P256_BYTES || y.size() != P256_BYTES)
        return nullptr;
    const Number x_number = number(x), y_number = number(y);
    const EcKey ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
    PublicKey key(EVP_PKEY_new(), EVP_PKEY_free);
    // This checks that the point is on the curve.
    if (!x_number || !y_number || !ec || !key ||
        EC_KEY_set_public_key_affine_coordinates(ec.get(), x_number.get(), y_number.get()) != 1)
        return nullptr;
    return EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) == 1 ? key : nullptr;
}

int rsa_bits(const EVP_PKEY* key) {
    return EVP_PKEY_base_id(key) == EVP_PKEY_RSA ? EVP_PKEY_bits(key) : 0;
}

bool is_p256(const EVP_PKEY* key) {
    if (EVP_PKEY_base_id(key) != EVP_PKEY_EC)
        return false;
    const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(const_cast<EVP_PKEY*>(key));
    const EC_GROUP* group = ec ? EC_KEY_get0_group(ec) : nullptr;
    return group && EC_GROUP_get_curve_name(group) == NID_X9_62_prime256v1;
}

#endif

} // namespace odoo_bus

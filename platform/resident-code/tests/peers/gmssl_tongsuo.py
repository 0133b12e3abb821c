"""Answers one line for each line read, with the Python packages gmssl (SM2) and tongsuopy (bindings to Tongsuo)."""
import sys

from gmssl import sm2, sm3
from tongsuopy.crypto.ciphers import Cipher, algorithms, modes


def verify(key, message, signature):
    # gmssl takes the point without its leading 04.
    return "yes" if sm2.CryptSM2("", key[2:]).verify_with_sm3(signature, bytes.fromhex(message)) else "no"


def sign(secret, message):
    public = sm2.CryptSM2(secret, "")
    point = public._kg(int(secret, 16), sm2.default_ecc_table["g"])
    return sm2.CryptSM2(secret, point).sign_with_sm3(bytes.fromhex(message))


def sm3_(message):
    return sm3.sm3_hash(list(bytes.fromhex(message)))


def seal(key, nonce, aad, plain):
    cipher = Cipher(algorithms.SM4(bytes.fromhex(key)), modes.GCM(bytes.fromhex(nonce))).encryptor()
    cipher.authenticate_additional_data(bytes.fromhex(aad))
    return (cipher.update(bytes.fromhex(plain)) + cipher.finalize() + cipher.tag).hex()


ANSWERS = {"verify": verify, "sign": sign, "sm3": sm3_, "seal": seal}
for line in sys.stdin:
    ask, *words = line.split()
    print(ANSWERS[ask](*words))

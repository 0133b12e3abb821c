// Answers one line for each line read, with the npm package sm-crypto. Its default identity is 1234567812345678.
"use strict";
const { sm2, sm3 } = require("sm-crypto");
const bytes = hex => Array.from(Buffer.from(hex, "hex"));
const answers = {
  verify: (key, message, signature) =>
    sm2.doVerifySignature(bytes(message), signature, key, { hash: true }) ? "yes" : "no",
  sign: (secret, message) => sm2.doSignature(bytes(message), secret, { hash: true }),
  sm3: message => sm3(bytes(message)),
};
for (const line of require("fs").readFileSync(0, "utf8").trim().split("\n")) {
  const [ask, ...words] = line.split(" ");
  console.log(answers[ask](...words));
}

// Asks sigstore-js whether a bundle is good for a file: exit code 0 says yes, 3 says no and prints why.
//
//   verify_bundle.cjs BUNDLE FILE TRUSTED_ROOT IDENTITY ISSUER    of a keyless bundle
//   verify_bundle.cjs BUNDLE FILE KEY                             of one by a key (PEM), which needs no log and no time
//
// A bundle with a statement is good for a file that is its only subject. NODE_PATH says where the packages are.
const crypto = require('node:crypto');
const fs = require('node:fs');
const { bundleFromJSON } = require('@sigstore/bundle');
const { TrustedRoot } = require('@sigstore/protobuf-specs');
const { toSignedEntity, toTrustMaterial, Verifier } = require('@sigstore/verify');

const refusals = ['ValidationError', 'VerificationError', 'PolicyError', 'ASN1ParseError', 'ASN1TypeError'];
const sha256 = (bytes, encoding) => crypto.createHash('sha256').update(bytes).digest(encoding);
const exactly = (text) => new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);

function keyless(trustedRoot, identity, issuer) {
  const root = TrustedRoot.fromJSON(JSON.parse(fs.readFileSync(trustedRoot)));
  const policy = { subjectAlternativeName: exactly(identity), extensions: { issuer } };
  return { verifier: new Verifier(toTrustMaterial(root)), policy };
}

function byKey(pem) {
  const publicKey = crypto.createPublicKey(fs.readFileSync(pem));
  const own = sha256(publicKey.export({ type: 'spki', format: 'der' }), 'base64');
  const find = (hint) => {
    if (hint === own) return { publicKey, validFor: () => true };
    throw Object.assign(new Error(`no key for hint ${hint}`), { name: 'VerificationError' });
  };
  const nothing = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
  const options = { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 };
  return { verifier: new Verifier(toTrustMaterial(nothing, find), options) };
}

function verify({ verifier, policy }, json, artifact) {
  const bundle = bundleFromJSON(json);
  verifier.verify(toSignedEntity(bundle, artifact), policy);
  if (bundle.content.$case !== 'dsseEnvelope') return;
  const { payload, payloadType } = bundle.content.dsseEnvelope;
  const subjects = JSON.stringify(JSON.parse(payload).subject.map((subject) => subject.digest));
  if (payloadType !== 'application/vnd.in-toto+json' || subjects !== JSON.stringify([{ sha256: sha256(artifact, 'hex') }])) {
    throw Object.assign(new Error(`a statement of type ${payloadType} about ${subjects}`), { name: 'PolicyError' });
  }
}

const [bundle, artifact, ...trust] = process.argv.slice(2);
const judge = trust.length === 1 ? byKey(...trust) : keyless(...trust);
try {
  verify(judge, JSON.parse(fs.readFileSync(bundle)), fs.readFileSync(artifact));
} catch (error) {
  const name = [error.name, error.constructor.name].find((name) => refusals.includes(name));
  if (!name) throw error;
  console.log(`${name}: ${error.message}`);
  process.exitCode = 3;
}

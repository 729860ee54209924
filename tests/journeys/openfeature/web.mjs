// OpenFeature's web SDK over its OFREP provider, as their documentation shows. The provider's options and the first
// context come as JSON in two arguments; then each line of input is a question or a context to go over to, and each
// line of output tells what became of it and every event until now.
import { createInterface } from 'node:readline';
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';

const [options, context] = process.argv.slice(2).map((text) => JSON.parse(text));
const client = OpenFeature.getClient();
const events = [];
for (const type of Object.values(ProviderEvents)) {
  client.addHandler(type, (told) => events.push({ type, message: told?.message, flags: told?.flagsChanged }));
}
await OpenFeature.setContext(context);
const failed = await OpenFeature.setProviderAndWait(new OFREPWebProvider(options)).then(() => undefined, String);

for await (const line of createInterface({ input: process.stdin })) {
  const { flag, otherwise, goTo } = JSON.parse(line);
  if (goTo) await OpenFeature.setContext(goTo);
  const details = flag && client.getBooleanDetails(flag, otherwise);
  console.log(JSON.stringify({ details, failed, status: client.providerStatus, events }));
}
await OpenFeature.close();

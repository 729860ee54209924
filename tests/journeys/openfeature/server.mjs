// OpenFeature's server SDK over its OFREP provider, as their documentation shows. The provider's options come as JSON in
// the first argument; then each line of input is a question, and each line of output its answer.
import { createInterface } from 'node:readline';
import { OFREPProvider } from '@openfeature/ofrep-provider';
import { OpenFeature } from '@openfeature/server-sdk';

await OpenFeature.setProviderAndWait(new OFREPProvider(JSON.parse(process.argv[2])));
const client = OpenFeature.getClient();

for await (const line of createInterface({ input: process.stdin })) {
  const { flag, otherwise, context } = JSON.parse(line);
  const asText = typeof otherwise === 'string';
  const details = asText
    ? await client.getStringDetails(flag, otherwise, context)
    : await client.getBooleanDetails(flag, otherwise, context);
  console.log(JSON.stringify(details));
}
await OpenFeature.close();

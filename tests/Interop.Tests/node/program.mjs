// A program reads one JSON object from standard input and prints one; anything it throws ends it with 1 and the reason on standard error.
export async function program(run) {
  const chunks = [];
  for await (const chunk of process.stdin) {
    chunks.push(chunk);
  }

  try {
    const answer = await run(JSON.parse(Buffer.concat(chunks).toString("utf8")));
    process.stdout.write(JSON.stringify(answer));
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
}

// Runs to its end, well or badly as it is told.
Console.WriteLine("the job has run");
return int.Parse(Environment.GetEnvironmentVariable("EXIT_CODE") ?? "0", System.Globalization.CultureInfo.InvariantCulture);

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import sun.misc.Signal;

/** Holds the lines of a file in a map, and on SIGUSR2 reads all of them and says their sum: FILE READY REPORTS. */
public final class Holder {
    private static final Map<String, String> RECORDS = new HashMap<>();

    private static long total() {
        long found = 0;
        for (Map.Entry<String, String> record : RECORDS.entrySet()) {
            String text = record.getValue();
            found += record.getKey().charAt(0) + text.length() + text.charAt(0) + text.charAt(text.length() - 1);
        }
        return found;
    }

    public static void main(String[] words) throws IOException, InterruptedException {
        try (var lines = Files.lines(Path.of(words[0]))) {
            lines.forEach(line -> RECORDS.put(line.substring(line.indexOf("token") + 9, line.indexOf("token") + 41), line));
        }
        Signal.handle(new Signal("USR2"), signal -> {
            try {
                Files.writeString(Path.of(words[2]), total() + "\n");
            } catch (IOException error) {
                throw new java.io.UncheckedIOException(error);
            }
        });
        Files.createFile(Path.of(words[1]));
        new CountDownLatch(1).await();
    }
}

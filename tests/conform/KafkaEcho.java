import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.Readable;

/** Lines "FetchRequest 12 hex": read by Kafka's own class, then written by it; so printed, or why not. */
public class KafkaEcho {
    static String echo(String name, short version, byte[] bytes) throws Exception {
        String type = "org.apache.kafka.common.message." + name + (name.startsWith("ConsumerProtocol") ? "" : "Data");
        ByteBuffer in = ByteBuffer.wrap(bytes);
        Readable readable = new ByteBufferAccessor(in);
        ApiMessage message = (ApiMessage) Class.forName(type).getConstructor(Readable.class, short.class).newInstance(readable, version);
        if (in.hasRemaining())
            return in.remaining() + " bytes follow the message";
        ByteBuffer out = MessageUtil.toByteBuffer(message, version);
        byte[] back = new byte[out.remaining()];
        out.get(back);
        return HexFormat.of().formatHex(back);
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String[] words = line.split(" ", -1);
            try {
                System.out.println(echo(words[0], Short.parseShort(words[1]), HexFormat.of().parseHex(words[2])));
            } catch (ReflectiveOperationException | RuntimeException e) {
                System.out.println(String.valueOf(e.getCause() == null ? e : e.getCause()).replace('\n', ' '));
            }
        }
    }
}

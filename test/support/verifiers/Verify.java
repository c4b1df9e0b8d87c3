import com.standardwebhooks.Webhook;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/**
 * Reads a request from each line of its input: the secret, webhook-id, webhook-timestamp, webhook-signature and body, in base64, with
 * spaces between. Answers each with a line, "valid" or why not. A secret whsec_ is left to the library; a public key whpk_, which it does
 * not know, to the JDK.
 */
class Verify {
    private static final String PUBLIC_KEY = "whpk_";
    /** SubjectPublicKeyInfo of an Ed25519 key, up to its bytes. */
    private static final byte[] X509_HEAD = HexFormat.of().parseHex("302a300506032b6570032100");

    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] fields = line.split(" ");
            for (int i = 0; i < fields.length; i++) fields[i] = new String(Base64.getDecoder().decode(fields[i]), StandardCharsets.UTF_8);
            System.out.println(verdict(fields[0], fields[1], fields[2], fields[3], fields[4]));
        }
    }

    private static String verdict(String secret, String id, String timestamp, String signature, String body) {
        try {
            if (secret.startsWith(PUBLIC_KEY)) return isSignedBy(secret, id + "." + timestamp + "." + body, signature) ? "valid" : "no v1a signature matches";
            Map<String, List<String>> headers =
                Map.of("webhook-id", List.of(id), "webhook-timestamp", List.of(timestamp), "webhook-signature", List.of(signature));
            new Webhook(secret).verify(body, headers);
            return "valid";
        } catch (Exception e) {
            return e.toString();
        }
    }

    private static boolean isSignedBy(String publicKey, String signed, String signatures) throws Exception {
        byte[] key = Base64.getDecoder().decode(publicKey.substring(PUBLIC_KEY.length()));
        byte[] encoded = new byte[X509_HEAD.length + key.length];
        System.arraycopy(X509_HEAD, 0, encoded, 0, X509_HEAD.length);
        System.arraycopy(key, 0, encoded, X509_HEAD.length, key.length);
        for (String each : signatures.split(" ")) {
            if (!each.startsWith("v1a,")) continue;
            Signature verifier = Signature.getInstance("Ed25519");
            verifier.initVerify(KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded)));
            verifier.update(signed.getBytes(StandardCharsets.UTF_8));
            if (verifier.verify(Base64.getDecoder().decode(each.substring("v1a,".length())))) return true;
        }
        return false;
    }
}
